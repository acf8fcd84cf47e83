"""Faces found by filling triangles: against PyTorch3D's, and against the outline of a sphere."""

from __future__ import annotations

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.rendering.face_search import FaceSearch, edges_of
from holofusion.rendering.marching_tetrahedra import marching_tetrahedra, tetrahedral_grid
from holofusion.rendering.paint import averaged, paint
from holofusion.rendering.rasterise import by_pytorch3d, rasterise
from holofusion.rendering.views import Views

RADIUS, DISTANCE, FOCAL, SIZE = 0.6, 4.0, 3.0, 48


@pytest.fixture(scope="module")
def sphere():
    vertices, tetrahedra = tetrahedral_grid(12)
    surface, faces = marching_tetrahedra(vertices, vertices.norm(dim=1) - RADIUS, tetrahedra)
    return surface * RADIUS / surface.norm(dim=1, keepdim=True), faces


@pytest.fixture(scope="module")
def dented():
    """A surface whose parts hide each other, so that there are outlines in front of it."""
    vertices, tetrahedra = tetrahedral_grid(14)
    x, y, z = vertices.T
    return marching_tetrahedra(
        vertices, (x**2 + y**2 + z**2).sqrt() - 0.55 - 0.2 * torch.sin(9 * x) * torch.cos(8 * y), tetrahedra
    )


@pytest.mark.parametrize("turn", range(4))
def test_the_faces_are_those_that_pytorch3d_finds(dented, turn):
    vertices, faces = dented
    camera = turntable(4, 25.0, DISTANCE, FOCAL)[turn]
    ours, theirs = (find([vertices], [faces], camera, SIZE) for find in (FaceSearch(faces), by_pytorch3d))
    assert (ours.covering == theirs.covering).float().mean() > 0.998  # pixel centres on an edge belong to either face
    assert torch.equal(ours.covering >= 0, theirs.covering >= 0)
    assert torch.equal(ours.reaching >= 0, theirs.reaching >= 0)
    near = ours.reaching >= 0
    first, second = (rasterise([vertices], [faces], camera, SIZE, find) for find in (FaceSearch(faces), by_pytorch3d))
    assert (first.alpha[near] > second.alpha[near] - 1e-4).all()  # the face nearest in the picture, not on the ray
    torch.testing.assert_close(first.points[ours.covering >= 0], second.points[ours.covering >= 0], atol=1e-4, rtol=0)


def test_the_rim_is_as_far_from_the_outline_as_geometry_says(sphere):
    vertices, faces = sphere
    camera = turntable(1, 20.0, DISTANCE, FOCAL)
    seen = rasterise([vertices], [faces], camera, SIZE, FaceSearch(faces))
    row = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    edge = FOCAL * RADIUS / (DISTANCE**2 - RADIUS**2) ** 0.5
    beyond = ((row[:, None] ** 2 + row[None] ** 2).sqrt() - edge) * SIZE / 2  # pixels
    rim = seen.seen[0] & (seen.alpha[0] < 1)
    assert rim.sum() > 20
    expected = torch.sigmoid(-(beyond.clamp_min(0) ** 2) / 0.25**2)
    assert float((seen.alpha[0] - expected)[rim].abs().max()) < 0.2  # the sphere's faces are flat: 0.1 pixels
    assert float((seen.alpha[0] - expected)[rim].abs().mean()) < 0.05
    assert float((seen.points[0][rim].norm(dim=1) - RADIUS).abs().max()) < 0.02
    reached = (seen.points[0][rim] - camera.centers()[0]).norm(dim=1)
    torch.testing.assert_close(seen.depth[0][rim], reached, atol=1e-4, rtol=0)


def test_the_silhouette_lets_it_grow(sphere):
    scale = torch.tensor(1.0, requires_grad=True)
    search = FaceSearch(sphere[1])
    alpha = rasterise([sphere[0] * scale], [sphere[1]], turntable(1, 20.0, DISTANCE, FOCAL), SIZE, search).alpha
    alpha.sum().backward()
    assert scale.grad > 0


def test_an_open_surface_ends_where_it_ends():
    triangle = torch.tensor([[-0.51, -0.52, 0.0], [0.53, -0.49, 0.0], [0.02, 0.61, 0.0]])
    faces, camera = torch.tensor([[0, 1, 2]]), turntable(1, 0.0, DISTANCE, FOCAL)
    ours, theirs = (find([triangle], [faces], camera, SIZE) for find in (FaceSearch(faces), by_pytorch3d))
    assert torch.equal(ours.reaching, theirs.reaching) and (ours.reaching == 0).any()
    assert torch.equal(ours.covering, theirs.covering)


def test_what_lies_behind_the_camera_is_not_seen(sphere):
    vertices, faces = sphere
    centre = turntable(1, 0.0, DISTANCE, FOCAL).centers()[0]
    found = FaceSearch(faces)([vertices + 2 * centre], [faces], turntable(1, 0.0, DISTANCE, FOCAL), SIZE)
    assert (found.covering < 0).all() and (found.reaching < 0).all()


def test_it_is_for_one_mesh(sphere):
    vertices, faces = sphere
    camera = turntable(1, 20.0, DISTANCE, FOCAL)
    for wrong in (([vertices] * 2, [faces] * 2), ([vertices], [faces[1:]])):
        with pytest.raises(ValueError, match="faces of one mesh, from one camera"):
            FaceSearch(faces)(*wrong, camera, SIZE)


def test_edges_are_counted_once():
    edges, numbers = edges_of(torch.tensor([[0, 2, 1], [1, 2, 3]]).numpy())
    assert edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert numbers.tolist() == [[1, 2, 0], [2, 4, 3]]


def test_pixels_are_averaged_and_depth_is_that_of_what_is_shown():
    alpha = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    found = averaged(Views(alpha.expand(1, 3, 2, 2), alpha, 3 * alpha), 2)
    assert float(found.alpha) == 0.5 and float(found.depth) == 3.0 and found.rgb.shape == (1, 3, 1, 1)


def test_a_painted_picture_shows_the_colours_of_its_points(sphere):
    vertices, faces = sphere
    views = paint(lambda points: points * 0.5 + 0.5, [vertices], [faces], turntable(1, 20.0, DISTANCE, FOCAL), SIZE)
    again = rasterise([vertices], [faces], turntable(1, 20.0, DISTANCE, FOCAL), SIZE)
    solid = again.alpha[0] == 1
    torch.testing.assert_close(views.rgb[0].permute(1, 2, 0)[solid], again.points[0][solid] * 0.5 + 0.5)
    assert (views.rgb[0][:, ~again.seen[0]] == 1).all()
