"""Rasterised meshes against an analytic sphere."""

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.rendering.marching_tetrahedra import marching_tetrahedra, tetrahedral_grid
from holofusion.rendering.rasterise import rasterise

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


def test_the_surface_moves_along_the_ray_as_geometry_says(sphere):
    scale = torch.tensor(1.0, requires_grad=True)
    found = rasterise([sphere[0] * scale], [sphere[1]], turntable(1, 20.0, DISTANCE, FOCAL), SIZE)
    (change,) = torch.autograd.grad(found.depth[0, SIZE // 2, SIZE // 2], scale)
    assert float(change) == pytest.approx(-RADIUS, abs=0.02)
    origin = turntable(1, 20.0, DISTANCE, FOCAL).centers()[0]
    seen = found.alpha == 1
    reached = (found.points[seen] - origin).norm(dim=1)
    torch.testing.assert_close(reached, found.depth[seen], rtol=0, atol=1e-4)


def test_the_silhouettes_gradient_is_pytorch3ds(sphere):
    from pytorch3d.renderer import RasterizationSettings
    from pytorch3d.renderer.mesh import MeshRasterizer
    from pytorch3d.structures import Meshes

    camera, pixel = turntable(1, 20.0, DISTANCE, FOCAL), 2 / SIZE
    stretch = torch.ones(3, requires_grad=True)
    ours = rasterise([sphere[0] * stretch], [sphere[1]], camera, SIZE).alpha
    (found,) = torch.autograd.grad(ours.sum(), stretch)
    settings = RasterizationSettings(SIZE, blur_radius=pixel**2, clip_barycentric_coords=True, bin_size=0)
    fragments = MeshRasterizer(camera.to_pytorch3d(SIZE), settings)(Meshes([sphere[0] * stretch], [sphere[1]]))
    rim = (ours < 1) & (fragments.pix_to_face[..., 0] >= 0)
    soft = torch.sigmoid(-fragments.dists[..., 0] / (pixel / 4) ** 2)[rim]
    torch.testing.assert_close(ours[rim], soft, rtol=0, atol=1e-4)
    torch.testing.assert_close(found, torch.autograd.grad(soft.sum(), stretch)[0], rtol=1e-2, atol=1e-2)


def test_an_empty_mesh_gives_an_empty_image(sphere):
    nothing = (torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long))
    cameras = turntable(2, 20.0, DISTANCE, FOCAL)
    assert not rasterise([nothing[0]], [nothing[1]], cameras[0], SIZE).seen.any()
    both = rasterise([sphere[0], nothing[0]], [sphere[1], nothing[1]], cameras, SIZE)
    assert both.seen[0].any() and not both.seen[1].any()
