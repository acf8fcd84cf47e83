"""Scores of surfaces, on shapes whose distances are known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from holofusion.evaluation.bootstrap import redraw
from holofusion.evaluation.geometry import (
    chamfer_distances,
    shape_scores,
    surface_points,
    true_meshes,
)
from holofusion.steps.geometry import run_geometry, run_geometry_floor
from holofusion.utils.files import UserError, read_json, write_json

POINTS = 500


def sphere(radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return mesh.apply_translation(centre)


def on_spheres(*radii: float, points: int = POINTS) -> list[np.ndarray]:
    return [surface_points(sphere(radius), points, radius, number) for number, radius in enumerate(radii)]


def test_chamfer_distance_by_hand() -> None:
    first, second = np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[0.0, 0, 0], [1, 0, 3], [-2, 0, 0]])
    # from the first to the second: 0 and 1; back: 0, 3 and 2
    assert chamfer_distances([first], [second])[0, 0] == pytest.approx((0.5 + 5 / 3) / 2)
    assert chamfer_distances([second], [first])[0, 0] == pytest.approx((0.5 + 5 / 3) / 2)
    assert chamfer_distances([first], [first, second]).shape == (1, 2)


def test_concentric_spheres_are_apart_by_the_difference_of_their_radii() -> None:
    near, far = on_spheres(0.4, 0.7, points=20000)
    assert chamfer_distances([near], [far])[0, 0] == pytest.approx(0.3, rel=0.01)


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
    same = shape_scores([points[::-1] for points in reference], reference, None)
    assert same["chamfer_coverage"][0] == 1 and same["chamfer_mmd"][0] == 0
    again = [surface_points(sphere(radius), 2000, "again", radius) for radius in radii]
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
    distances = chamfer_distances(reference, reference)
    np.testing.assert_allclose(scores["chamfer_mmd"][1], [distances[0].mean(), 0, distances[1:3].min(0).mean()])


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Six true spheres of radius 0.45 to 0.55 in worlds of their own, and one run of five scenes in two shards."""
    names = [f"hydrant_{number:04d}" for number in range(6)]
    placed = {}
    for number, name in enumerate(names):
        centre, scale = [3.0 + number, -2.0, 0.5 * number], 2.0 + number
        placed[name] = {"center": centre, "scale": scale}
        path = tmp_path / f"dataset/hydrant/{name}/mesh.ply"
        path.parent.mkdir(parents=True)
        sphere((0.45 + 0.02 * number) * scale, tuple(centre)).export(path)
    write_json(tmp_path / "data/data.json", {"normalisation": placed})
    write_json(tmp_path / "data/split.json", {"train": names[:4], "held_out": names[4:]})
    double = sphere(0.5, (-0.4, 0, 0)) + sphere(0.25, (0.6, 0, 0))
    made = {0: sphere(0.45), 1: sphere(0.5), 2: sphere(0.55), 3: double}
    for shard, seeds in enumerate(([0, 1, 2], [3, 4])):
        scenes = []
        for seed in seeds:
            scenes.append({"seed": seed, "faces": len(made[seed].faces) if seed in made else 0})
            if seed in made:
                path = tmp_path / f"meshes/{shard}/{seed:06d}.ply"
                path.parent.mkdir(parents=True, exist_ok=True)
                made[seed].export(path)
        write_json(tmp_path / f"meshes/{shard}/meshes.json", {"run": "sds-hydrant-s0", "scenes": scenes})
    return tmp_path


def step(points: int = POINTS) -> SimpleNamespace:
    settings = SimpleNamespace(geometry=SimpleNamespace(points=points), intervals=SimpleNamespace(replicates=40))
    return SimpleNamespace(method="sds", category="hydrant", seed=0, hash="abc", settings=settings)


def scores(path: Path) -> dict[str, dict]:
    return {entry["metric"]: entry for entry in read_json(path)["entries"]}


def test_true_shapes_land_where_their_photographs_were_put(folders: Path) -> None:
    names = ["hydrant_0003", "hydrant_0000"]
    meshes = true_meshes(folders / "data", folders / "dataset/hydrant", names)
    for name, radius in zip(names, (0.51, 0.45), strict=True):
        np.testing.assert_allclose(np.linalg.norm(meshes[name].vertices, axis=1), radius, atol=1e-5)


def test_scores_of_a_run(folders: Path) -> None:
    for name in ("first.json", "second.json"):
        run_geometry(step(), folders / "data", folders / "meshes", folders / "dataset", folders / name)
    assert (folders / "first.json").read_bytes() == (folders / "second.json").read_bytes()
    written, found = read_json(folders / "first.json"), scores(folders / "first.json")
    assert {key: written[key] for key in ("run", "method", "category", "seed", "config_hash", "n_scenes")} == {
        "run": "sds-hydrant-s0",
        "method": "sds",
        "category": "hydrant",
        "seed": 0,
        "config_hash": "abc",
        "n_scenes": 5,
    }
    assert (found["empty_meshes"]["value"], found["empty_meshes"]["n_generated"]) == (1, 5)
    assert found["mesh_components"]["value"] == 5 / 4
    assert found["floaters"]["value"] == pytest.approx(0.25**2 / (0.25**2 + 0.5**2) / 4, rel=1e-3)
    assert found["mesh_faces"]["value"] == 1280 * 5 / 4
    assert all(found[name]["units"] == 4 for name in ("mesh_components", "floaters", "mesh_faces"))
    replicates = found["mesh_components"]["replicates"]
    draws = redraw(5, 40, "scenes", 0)[:, :4]  # of all scenes; the fifth is empty
    np.testing.assert_allclose(replicates, draws @ [1, 1, 1, 2] / draws.sum(1), rtol=1e-5)
    for metric in ("chamfer_coverage", "chamfer_mmd"):
        entry = found[metric]
        assert (entry["reference"], entry["n_real"], entry["n_generated"]) == ("true_shapes", 5, 4)
        assert len(entry["replicates"]) == 40 and entry["low"] <= entry["value"] <= entry["high"]
    # the first five of six radii are within 0.02 of a scene's; 500 points leave noise of about as much
    assert 0.01 < found["chamfer_mmd"]["value"] < 0.06


def test_photographs_have_no_shape_scores(folders: Path) -> None:
    run_geometry(step(), folders / "data", folders / "meshes", None, folders / "out.json")
    assert list(scores(folders / "out.json")) == ["empty_meshes", "mesh_components", "floaters", "mesh_faces"]


def test_a_run_without_any_surface_says_so(folders: Path) -> None:
    for shard in (0, 1):
        listing = read_json(folders / f"meshes/{shard}/meshes.json")
        listing["scenes"] = [scene | {"faces": 0} for scene in listing["scenes"]]
        write_json(folders / f"meshes/{shard}/meshes.json", listing)
    run_geometry(step(), folders / "data", folders / "meshes", folders / "dataset", folders / "out.json")
    assert {name: entry["value"] for name, entry in scores(folders / "out.json").items()} == {"empty_meshes": 5}


def test_floor_compares_held_out_with_training_shapes(folders: Path) -> None:
    run_geometry_floor(step(points=5000), folders / "data", folders / "dataset", folders / "floor.json")
    written, found = read_json(folders / "floor.json"), scores(folders / "floor.json")
    assert (written["run"], written["method"], written["n_scenes"]) == ("real_floor-hydrant", "real_floor", 2)
    assert (found["mesh_components"]["value"], found["floaters"]["value"]) == (1, 0)
    entry = found["chamfer_mmd"]
    assert (entry["n_real"], entry["n_generated"], entry["replicates"]) == (2, 2, None)
    # held-out radii 0.53 and 0.55; training radii 0.45 and 0.49: off by 0.08 and 0.04
    assert entry["value"] == pytest.approx(0.06, abs=0.01)


def test_errors_name_the_file(folders: Path) -> None:
    def fails(message: str) -> None:
        with pytest.raises(UserError, match=message):
            run_geometry(step(), folders / "data", folders / "meshes", folders / "dataset", folders / "out.json")
        assert not (folders / "out.json").exists()

    with pytest.raises(UserError, match="nowhere: no meshes.json"):
        run_geometry(step(), folders / "data", folders / "nowhere", None, folders / "out.json")
    (folders / "dataset/hydrant/hydrant_0000/mesh.ply").write_bytes(b"ply\n")
    fails(r"hydrant_0000/mesh\.ply: not a mesh that can be read")
    (folders / "dataset/hydrant/hydrant_0000/mesh.ply").unlink()
    fails(r"hydrant_0000/mesh\.ply: no such file")
    (folders / "meshes/1/000003.ply").unlink()
    fails(r"1/000003\.ply: no such file")
    listing = read_json(folders / "meshes/1/meshes.json")
    write_json(folders / "meshes/1/meshes.json", {**listing, "run": "sds-hydrant-s1"})
    fails("1/meshes.json: meshes of sds-hydrant-s1, expected sds-hydrant-s0")
    listing["scenes"][0]["seed"] = 0
    write_json(folders / "meshes/1/meshes.json", listing)
    fails("1/meshes.json: seed 0 is listed twice")
    write_json(folders / "data/data.json", {"normalisation": {}})
    with pytest.raises(UserError, match="data.json: no normalisation of hydrant_0004"):
        run_geometry_floor(step(), folders / "data", folders / "dataset", folders / "out.json")
