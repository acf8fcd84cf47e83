"""Rasterised meshes against an analytic sphere."""

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.networks.tetrahedra import marching_tetrahedra, tetrahedral_grid
from holofusion.rendering.mesh import rasterise

RADIUS, DISTANCE, FOCAL, SIZE = 0.6, 4.0, 3.0, 48


@pytest.fixture(scope="module")
def sphere():
    vertices, tetrahedra = tetrahedral_grid(12)
    surface, faces = marching_tetrahedra(vertices, vertices.norm(dim=1) - RADIUS, tetrahedra)
    return surface * RADIUS / surface.norm(dim=1, keepdim=True), faces


def test_a_sphere_fills_its_disc_without_holes(sphere):
    found = rasterise([sphere[0]], [sphere[1]], turntable(1, 20.0, DISTANCE, FOCAL), SIZE)
    row = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    distance = (row[:, None] ** 2 + row[None] ** 2).sqrt() / FOCAL
    # the cone that touches the sphere
    edge = RADIUS / (DISTANCE**2 - RADIUS**2) ** 0.5
    assert (found.alpha[0][distance < edge - 0.02] == 1).all()
    assert (found.alpha[0][distance > edge + 3 / SIZE / FOCAL * 2] == 0).all()
    points = found.points[0][distance < edge - 0.02]
    assert float((points.norm(dim=1) - RADIUS).abs().max()) < 0.03
    assert float(found.depth[0, SIZE // 2, SIZE // 2]) == pytest.approx(DISTANCE - RADIUS, abs=0.03)


def test_the_silhouette_has_a_gradient_that_lets_it_grow(sphere):
    scale = torch.tensor(1.0, requires_grad=True)
    rasterise([sphere[0] * scale], [sphere[1]], turntable(1, 20.0, DISTANCE, FOCAL), SIZE).alpha.sum().backward()
    assert scale.grad > 0


def test_an_empty_mesh_gives_an_empty_image(sphere):
    nothing = (torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long))
    cameras = turntable(2, 20.0, DISTANCE, FOCAL)
    assert not rasterise([nothing[0]], [nothing[1]], cameras[0], SIZE).seen.any()
    both = rasterise([sphere[0], nothing[0]], [sphere[1], nothing[1]], cameras, SIZE)
    assert both.seen[0].any() and not both.seen[1].any()
