"""Scores of surfaces, on shapes whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from holofusion.evaluation.geometry import (
    shape_scores,
)
from holofusion.meshing.points import Drawn, chamfer_distances, drawn_points, normal_consistencies, surface_points

POINTS = 500


def sphere(radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return mesh.apply_translation(centre)


def on_spheres(*radii: float, points: int = POINTS) -> list[Drawn]:
    return [drawn_points(sphere(radius), points, radius, number) for number, radius in enumerate(radii)]


def distances_of(generated: list[Drawn], reference: list[Drawn]) -> np.ndarray:
    return chamfer_distances(*([shape.points for shape in shapes] for shapes in (generated, reference)))


def test_chamfer_distance_by_hand() -> None:
    first, second = np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[0.0, 0, 0], [1, 0, 3], [-2, 0, 0]])
    # from the first to the second: 0 and 1; back: 0, 3 and 2
    assert chamfer_distances([first], [second])[0, 0] == pytest.approx((0.5 + 5 / 3) / 2)
    assert chamfer_distances([second], [first])[0, 0] == pytest.approx((0.5 + 5 / 3) / 2)
    assert chamfer_distances([first], [first, second]).shape == (1, 2)


def test_concentric_spheres_are_apart_by_the_difference_of_their_radii() -> None:
    near, far = on_spheres(0.4, 0.7, points=20000)
    assert distances_of([near], [far])[0, 0] == pytest.approx(0.3, rel=0.01)


def test_points_are_drawn_evenly_by_area() -> None:
    # one long and one short box, of many and of few faces
    long, short = trimesh.creation.box((4, 1, 1)), trimesh.creation.box((1, 1, 1)).subdivide().subdivide()
    drawn = surface_points(long + short.apply_translation((10, 0, 0)), 20000, "boxes")
    assert (drawn[:, 0] < 5).mean() == pytest.approx(18 / 24, abs=0.01)
    assert np.array_equal(drawn, surface_points(long + short, 20000, "boxes"))
    assert not np.array_equal(drawn, surface_points(long + short, 20000, "other"))


def test_the_shapes_themselves_cover_all_and_one_shape_covers_one() -> None:
    radii = (0.2, 0.35, 0.5, 0.65)
    reference = on_spheres(*radii, points=2000)
    same = shape_scores([Drawn(shape.points[::-1], shape.normals[::-1]) for shape in reference], reference, None)
    assert same["chamfer_coverage"][0] == 1 and same["chamfer_mmd"][0] == 0
    again = [drawn_points(sphere(radius), 2000, "again", radius) for radius in radii]
    drawn_again = shape_scores(again, reference, None)
    assert drawn_again["chamfer_coverage"][0] == 1 and 0 < drawn_again["chamfer_mmd"][0] < 0.03
    repeated = shape_scores([again[1]] * 4, reference, None)
    assert repeated["chamfer_coverage"][0] == 1 / 4
    assert repeated["chamfer_mmd"][0] == pytest.approx((0.15 + 0 + 0.15 + 0.3) / 4, abs=0.02)


def test_crowding_around_one_shape_covers_no_other() -> None:
    crowd, reference = on_spheres(0.2, 0.21, 0.22), on_spheres(0.2, 0.5)
    assert shape_scores(crowd, reference, None)["chamfer_coverage"][0] == 1 / 2


def test_spheres_of_nearer_radius_match_better() -> None:
    reference = on_spheres(0.5, 0.5, 0.5)
    found = [shape_scores(on_spheres(*[radius] * 3), reference, None)["chamfer_mmd"][0] for radius in (0.5, 0.6, 0.8)]
    assert found[0] < found[1] < found[2]


def test_redraws_leave_shapes_out() -> None:
    radii = (0.2, 0.35, 0.5, 0.65)
    reference, draws = on_spheres(*radii), np.array([[4.0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 2, 0]])
    scores = shape_scores(reference, reference, draws)
    np.testing.assert_allclose(scores["chamfer_coverage"][1], [1 / 4, 1, 2 / 4])
    distances = distances_of(reference, reference)
    np.testing.assert_allclose(scores["chamfer_mmd"][1], [distances[0].mean(), 0, distances[1:3].min(0).mean()])


def test_normals_of_a_square_and_of_the_same_one_tilted_agree_by_the_cosine() -> None:
    square = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    tilted = square.copy().apply_transform(trimesh.transformations.rotation_matrix(np.pi / 6, (1, 2, 0)))
    other = tilted.copy()
    other.invert()  # which side is outside does not count
    one, *others = (drawn_points(mesh, 50, number) for number, mesh in enumerate((square, square, tilted, other)))
    np.testing.assert_allclose(normal_consistencies([one], others)[0], [1, np.cos(np.pi / 6), np.cos(np.pi / 6)])


def test_the_matching_shape_gives_the_normals() -> None:
    cube = trimesh.creation.box((1, 1, 1))
    reference = [drawn_points(cube, 2000, "cube")]
    ball, again = on_spheres(0.62, points=2000)[0], drawn_points(cube, 2000, "again")
    both = shape_scores([ball, again], reference, np.array([[2.0, 0], [1, 1]]))["normal_consistency"]
    assert both[0] > 0.95 and both[1][1] == both[0] and both[1][0] < 0.9
