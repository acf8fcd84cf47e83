"""Surfaces of densities that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from holofusion.cameras import turntable
from holofusion.meshing.mesh import pieces
from holofusion.meshing.surface import surface_mesh
from holofusion.methods.eg3d import EG3DFacts, EG3DScene
from holofusion.methods.get3d import MeshFacts, StyledMeshScene
from holofusion.methods.pigan import PiGanFacts, PiGanScene
from holofusion.methods.superresolution import SuperResolvedFacts, SuperResolvedScene
from holofusion.rendering.grids import PlainDecoder, voxel_centres
from holofusion.rendering.rasterise import rasterise
from holofusion.rendering.sparse_grid import SparseField, SparseGrid
from holofusion.scenes.voxel import SparseVoxelScene, VoxelFacts, VoxelScene
from tests.sections import sections

CENTRE, RADIUS = torch.tensor([0.2, -0.15, 0.05]), 0.5
RESOLUTION, LEVEL = 48, 10.0
CELL = 2 / (RESOLUTION - 1)
AXES = torch.tensor([0.45, 0.75, 0.3])


def ball(points: Tensor, centre: Tensor = CENTRE, radius: float = RADIUS) -> Tensor:
    """Density that equals LEVEL on the sphere and rises by 20 per world unit towards its centre."""
    return (LEVEL + 20 * (radius - (points - centre).norm(dim=-1))).clamp_min(0)


def place(points: Tensor) -> Tensor:
    """A colour that tells where it was taken."""
    return (points + 1) / 2


class Analytic:
    def __init__(self, density, colour=place):
        self.density, self.colour = density, colour


VOLUME = sections(volume=dict(extent=1.0, density_scale=20.0, precision="fp32"))["volume"]
FACTS = VoxelFacts(
    extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=64, importance_samples=0, empty_density=1.0
)


def extract(solid, resolution, level, extent) -> trimesh.Trimesh:
    """The surface, as trimesh has it."""
    return surface_mesh(solid, resolution, level, extent).trimesh()


def assert_is_the_ball(mesh: trimesh.Trimesh, cells: float) -> None:
    """Within `cells` cells of the sphere, closed, outwards, and coloured by place."""
    offsets = mesh.vertices - CENTRE.numpy()
    assert np.abs(np.linalg.norm(offsets, axis=1) - RADIUS).max() < cells * CELL
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.euler_number == 2
    assert ((mesh.triangles_center - CENTRE.numpy()) * mesh.face_normals).sum(1).min() > 0
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] / 255, (mesh.vertices + 1) / 2, atol=0.02)


def test_a_ball_has_its_size_place_colours_and_outward_faces():
    mesh = extract(Analytic(ball), RESOLUTION, LEVEL, 1.0)
    assert_is_the_ball(mesh, 0.05)
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.01)
    assert mesh.area == pytest.approx(4 * math.pi * RADIUS**2, rel=0.01)


def test_axes_keep_their_order_in_a_cube_of_any_size():
    mesh = extract(Analytic(lambda points: 10 * (2 - (points / 1.6 / AXES).norm(dim=-1))), RESOLUTION, 10.0, 1.6)
    np.testing.assert_allclose(mesh.bounds, 1.6 * np.stack([-AXES, AXES]), atol=0.01)


def test_the_surface_is_where_density_equals_the_level():
    for level in (2.0, 6.0):
        mesh = extract(Analytic(lambda points: 10 * (1 - points.norm(dim=-1))), RESOLUTION, level, 1.0)
        np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 1 - level / 10, atol=0.05 * CELL)


def test_the_level_is_found_where_silhouettes_agree_with_opacity():
    def solid(density, radius):
        return Analytic(lambda points: density * (points.norm(dim=-1) < radius))

    assert surface_mesh(solid(3.0, 0.6), 64, None, 1.0).level < 3
    fog, hard = (extract(solid(density, 0.6), 64, None, 1.0) for density in (3.0, 1000.0))
    assert fog.volume == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.05)
    assert hard.volume == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.1)
    # no ray is ln 2 / 3 long in here, so that none loses half its light
    assert len(extract(solid(3.0, 0.9 * math.log(2) / 3 / 2), 64, None, 1.0).faces) == 0
    core, veil = solid(1000.0, 0.4).density, solid(0.36, 0.9).density
    mesh = extract(Analytic(lambda points: core(points) + veil(points)), 64, None, 1.0)
    assert np.linalg.norm(mesh.vertices, axis=1).max() < 0.44  # the veil is seen through
    wisp = solid(3.5, 0.09).density
    found = surface_mesh(Analytic(lambda points: core(points) + wisp(points - 0.6)), 64, None, 1.0)
    assert found.level > 3.5 and pieces(found.trimesh()) == (1, 0.0)


def test_colours_are_those_that_show_through_the_rim():
    def skin(points):
        white = (points - CENTRE).norm(dim=-1) > 0.48
        return torch.stack([torch.ones(len(points)), white.float(), white.float()], 1)

    mesh = extract(Analytic(ball, skin), RESOLUTION, LEVEL, 1.0)
    # density 8 at 0.1 before the surface, 12 behind; 9.2 on average in the 0.12 of white, 10 altogether in 0.2
    white, both = 1 - math.exp(-9.2 * 0.12), 1 - math.exp(-10 * 0.2)
    assert (mesh.visual.vertex_colors[:, 0] == 255).all()
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, 1] / 255, white / both, atol=0.03)


def test_two_balls_are_two_pieces_and_the_smaller_one_floats():
    other = torch.tensor([-0.6, 0.6, -0.5])
    mesh = extract(Analytic(lambda points: torch.maximum(ball(points), ball(points, other, 0.2))), 64, LEVEL, 1.0)
    components, floaters = pieces(mesh)
    assert components == 2 and floaters == pytest.approx(0.2**2 / (0.2**2 + RADIUS**2), rel=0.03)
    assert pieces(extract(Analytic(ball), RESOLUTION, LEVEL, 1.0)) == (1, 0.0)


def test_cavities_are_filled():
    def hollow(points):
        return torch.minimum(ball(points), 100 * ((points - CENTRE).norm(dim=-1) - 0.3).clamp_min(0))

    assert_is_the_ball(extract(Analytic(hollow), RESOLUTION, LEVEL, 1.0), 0.05)


def test_nothing_gives_an_empty_mesh():
    mesh = extract(Analytic(lambda points: torch.zeros(len(points))), 16, LEVEL, 1.0)
    assert len(mesh.faces) == 0 and pieces(mesh) == (0, 0.0)


def test_what_the_cube_cuts_is_closed_at_its_face():
    centre = torch.tensor([1.5, 0, 0])
    mesh = extract(Analytic(lambda points: ball(points, centre)), RESOLUTION, LEVEL, 1.5)
    assert mesh.is_watertight and mesh.bounds[1, 0] == 1.5
    assert mesh.volume == pytest.approx(2 / 3 * math.pi * RADIUS**3, rel=0.02)
    full = extract(Analytic(lambda points: torch.full((len(points),), 99.0)), 8, LEVEL, 1.5)
    assert full.is_watertight and full.volume == pytest.approx(27, rel=1e-5)


def grid_scenes(inside):
    """Scenes on voxel grids, of density `inside(points)` and colours by place."""
    centres = voxel_centres(40, 1.0)
    grid = torch.cat([place(centres), inside(centres)[:, None]], 1).T.reshape(1, 4, 40, 40, 40)

    def decoder(features):
        return features[..., 3], features[..., :3]

    decoder.state_dict = dict
    yield VoxelScene(grid, decoder, FACTS)
    chosen = sections()
    facts = SuperResolvedFacts(
        coarse=FACTS,
        superresolution=chosen["superresolution"],
        superresolution_sampling=chosen["superresolution_sampling"],
        seed=0,
    )
    yield SuperResolvedScene(VoxelScene(grid, decoder, FACTS), torch.nn.Module(), facts)
    active = torch.ones((40, 40, 40), dtype=torch.bool)
    occupied = (grid[0, 3] > 1).repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    yield SparseVoxelScene(SparseField(SparseGrid.from_dense(grid, active, 1.0), decoder, occupied), FACTS)
    yield plain_scene(grid)


def plain_scene(grid: Tensor) -> VoxelScene:
    """The same without a decoder's weights and without known empty space, as score distillation makes it."""
    raw = torch.cat([(grid[:, 3:] / 20).expm1().clamp_min(1e-6).log(), torch.logit(grid[:, :3])], 1)
    facts = FACTS.model_copy(update={"coarse_samples": 32, "importance_samples": 32, "empty_density": None})
    return VoxelScene(raw, PlainDecoder(20.0), facts)


def test_every_scene_on_a_grid_gives_the_ball_and_its_colours():
    for scene in grid_scenes(ball):
        mesh = scene.surface(RESOLUTION, LEVEL).trimesh()
        radii = np.linalg.norm(mesh.vertices - CENTRE.numpy(), axis=1)
        assert np.abs(radii - RADIUS).max() < CELL / 2 and mesh.is_watertight and mesh.volume > 0.5
        np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] / 255, (mesh.vertices + 1) / 2, atol=0.02)


def test_the_mesh_covers_what_the_render_shows():
    cameras = turntable(3, 25.0, 4.0, 2.8)
    for scene in grid_scenes(lambda points: (200 * (1 - ((points - CENTRE) / AXES).norm(dim=1))).clamp_min(0)):
        if isinstance(scene, SuperResolvedScene):
            continue
        mesh = scene.surface(RESOLUTION, 5.0).trimesh()
        corners, faces = torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces)
        seen = rasterise([corners] * 3, [faces] * 3, cameras, 64).alpha > 0.5
        alpha = scene.render(cameras, 64).alpha[:, 0] > 0.5
        assert (seen & alpha).sum() > 0.95 * (seen | alpha).sum() > 100


def test_colour_that_depends_on_the_view_is_taken_from_straight_in_front():
    def siren(points, directions, frequency, phase):
        return ball(points), (directions + 1) / 2

    facts = PiGanFacts(volume=VOLUME, pigan=sections()["pigan"])
    mesh = PiGanScene(siren, torch.zeros(1), torch.zeros(1), facts).surface(32, LEVEL).trimesh()
    outwards = (mesh.vertices - CENTRE.numpy()) / RADIUS
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] / 255, (1 - outwards) / 2, atol=0.02)


def test_colours_of_eg3d_are_the_first_three_channels():
    def decoder(features):
        channels = torch.tensor([1.001, 0.25, -0.001, 0.9]).expand(*features.shape[:2], 4)
        return torch.full(features.shape[:2], 99.0), channels

    facts = EG3DFacts(volume=VOLUME, eg3d=sections()["eg3d"])
    scene = EG3DScene(torch.zeros((1, 3, 2, 8, 8)), torch.zeros((1, 4)), decoder, None, facts)
    assert (scene.surface(8, LEVEL).colours == [255, 64, 0]).all()


def test_a_scene_that_is_a_mesh_is_taken_as_it_is():
    box = trimesh.creation.box()
    vertices, faces = torch.tensor(box.vertices, dtype=torch.float32), torch.tensor(box.faces)
    facts = MeshFacts(extent=1.0)
    mesh = StyledMeshScene(vertices, faces, place, facts).surface(8, LEVEL)
    np.testing.assert_array_equal(mesh.vertices, box.vertices)
    np.testing.assert_array_equal(mesh.faces, box.faces)
    np.testing.assert_allclose(mesh.colours / 255, (box.vertices + 1) / 2, atol=0.5 / 255)
    assert mesh.level is None
    none = StyledMeshScene(vertices[:0], faces[:0], place, facts).surface(8, LEVEL)
    assert len(none.faces) == 0
