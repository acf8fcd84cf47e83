"""Two stages, field then mesh: balls whose size and colours are known, and the noise that the second stage sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holofusion.cameras import turntable
from holofusion.config.baselines import Magic3DSection
from holofusion.data.batches import draw_views
from holofusion.data.prepared import PreparedCategory
from holofusion.meshing.mesh import pieces
from holofusion.methods.base import TrainingInputs
from holofusion.methods.magic3d import Magic3DStyle, finer
from holofusion.methods.mesh_distillation import distil_on_mesh, first_distances, loss_of, start_from
from holofusion.rendering.grids import corners, voxel_centres
from holofusion.rendering.marching_tetrahedra import marching_tetrahedra
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.files import load_scene
from holofusion.utils.random import generator_for
from tests.balls import RADIUS, SIZE, ball_views
from tests.methods.test_surface_fusion import ball
from tests.sections import sections

SECTION = Magic3DSection(
    image_size=SIZE,
    noise_min=0.02,
    noise_max=0.5,
    cells=20,
    resolution=32,
    steps=100,
    learning_rate=0.2,
    vertex_rate=0.05,
    normal_weight=0.001,
)
CELL = 2 / SECTION.cells
MADE = sections()


class Known:
    """In place of a denoiser: the squared error against the exact view of the same camera."""

    def __init__(self) -> None:
        self.pictures, _, _, self.cameras = ball_views()

    def error(self, images, cameras, generator):
        same = (self.cameras.T[None] - cameras.T[:, None]).abs().sum(-1) + (
            self.cameras.R[None] - cameras.R[:, None]
        ).abs().sum((-1, -2))
        return (images - self.pictures[same.argmin(1)]).square().mean()


@pytest.fixture(scope="module")
def guide() -> Known:
    return Known()


@pytest.fixture(scope="module")
def grown(guide):
    """A ball that starts a twelfth too small and grey, pulled by exact views of a coloured one."""
    return distil_on_mesh(guide, ball(RADIUS - 0.05).coarse, guide.cameras, SECTION, 1, 0)


@pytest.mark.parametrize("radius", [0.3, 0.45, RADIUS])
def test_it_starts_at_the_level_set_of_the_field(guide, radius):
    field = ball(radius).coarse
    mesh = start_from(field, guide.cameras, SECTION)
    vertices = mesh.surface()[0].detach()
    found = vertices.norm(dim=1)
    assert len(found) > 100 and float((found - radius).abs().max()) < CELL / 2
    cubes = field.surface(SECTION.cells + 1, None, guide.cameras)  # of the same level
    assert float(torch.cdist(vertices, torch.from_numpy(cubes.vertices)).amin(1).max()) < CELL
    off = (field.density(vertices) / cubes.level).log().abs()
    assert float(off.max()) < 60 * CELL / 4  # density falls e-fold in a 60th
    assert float((mesh.scene().colour(vertices) - 0.5).abs().max()) < 0.02


def test_first_distances_are_those_to_a_plane_and_keep_axes_apart():
    """Density that falls off exponentially along z is 2 where z is 3.25 cells."""
    density = np.broadcast_to(2 * np.exp(1.5 * (3.25 - np.arange(8.0)))[:, None, None], (8, 8, 8))
    found = first_distances(density, 2.0)
    np.testing.assert_allclose(found[[3, 4]], np.broadcast_to([[[-0.25]], [[0.75]]], (2, 8, 8)), atol=1e-5)
    assert (found[:3] == -1).all() and (found[5:] == 1).all()  # cut there


def test_a_field_with_axes_that_differ_is_not_turned(guide):
    centres = voxel_centres(24, 1.0)
    field = ball(0.4).coarse
    shape = (centres / torch.tensor([0.7, 0.5, 0.3])).norm(dim=1)
    field.field.grid[0, 0] = (20 * (1 - shape)).clamp(-8, 8).reshape(24, 24, 24)
    vertices, _ = start_from(field, guide.cameras, SECTION).surface()
    torch.testing.assert_close(vertices.abs().amax(0), torch.tensor([0.7, 0.5, 0.3]), rtol=0, atol=CELL / 2)


def test_cavities_are_filled_and_specks_left_out(guide):
    field, centres = ball(RADIUS).coarse, voxel_centres(24, 1.0)
    inside = (centres.norm(dim=1) < 0.25).reshape(24, 24, 24)
    field.field.grid[0, 0][inside] = -8.0
    speck = ((centres - torch.tensor([0.9, 0.9, 0.9])).norm(dim=1) < 0.1).reshape(24, 24, 24)
    field.field.grid[0, 0][speck] = 8.0
    mesh = start_from(field, guide.cameras, SECTION).scene().surface().trimesh()
    assert pieces(mesh) == (1, 0.0) and mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.1)


def test_a_ball_too_small_grows_to_what_the_guide_shows(grown):
    found = grown.vertices.norm(dim=1)
    assert float(found.mean()) == pytest.approx(RADIUS, abs=CELL / 4)  # it started half a cell below


def test_its_colours_become_those_that_the_guide_shows(grown):
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=1) * RADIUS
    points = points[points[:, 1].abs() < 0.4]  # what the cameras see
    exact = 0.5 + 0.35 * torch.sin(5 * points + torch.tensor([0.0, 1.0, 2.0]))
    assert float((grown.colour(points) - exact).abs().mean()) < 0.06
    assert float((exact - 0.5).abs().mean()) > 0.15  # so much is wrong before


def test_a_mesh_comes_back_from_its_file_closed(grown, tmp_path):
    grown.save(tmp_path)
    again, _ = load_scene(tmp_path)
    assert again.kind == "painted_mesh"
    camera = turntable(1, 20.0, 4.0, 3.0)
    assert torch.equal(again.render(camera, SIZE).rgb, grown.render(camera, SIZE).rgb)
    mesh = again.surface(8).trimesh()
    assert mesh.is_watertight and mesh.volume > 0


def test_gradients_reach_distances_shifts_and_colours_near_the_surface_alone(guide):
    mesh = start_from(ball(RADIUS - 0.05).coarse, guide.cameras, SECTION)
    loss_of(mesh, guide, guide.cameras[0], SECTION, generator_for("test")).backward()
    away = (mesh.grid.vertices.norm(dim=1) - (RADIUS - 0.05)).abs()
    for gradient in (mesh.distance.grad, mesh.deformation.grad.abs().sum(1)):
        assert int((gradient != 0).sum()) > 100
        assert float(away[gradient != 0].max()) < 2 * CELL
    assert mesh.distance.grad[away < CELL].sum() > 0  # outwards: distances fall
    assert int((mesh.colours.values.grad != 0).sum()) > 300


def test_colours_are_kept_wherever_faces_are(guide):
    mesh = start_from(ball(RADIUS).coarse, guide.cameras, SECTION)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        mesh.deformation += 9 * torch.randn(mesh.deformation.shape, generator=generator)
        mesh.colours.values.copy_(torch.randn(mesh.colours.values.shape, generator=generator))
    scene = mesh.scene()
    shares = torch.distributions.Dirichlet(torch.ones(3)).sample((200,))
    points = torch.einsum("pk,fkc->pfc", shares, scene.vertices[scene.faces]).reshape(-1, 3)
    around, _ = corners(points, SECTION.resolution, 1.0)
    assert (scene.colours.index.flatten()[around] > 0).all()
    torch.testing.assert_close(scene.colours(points), mesh.colours(points))
    assert len(scene.colours.values) < 0.7 * len(mesh.colours.values)


def test_an_empty_field_stays_empty_and_a_mesh_that_has_gone_comes_back(guide):
    nothing = distil_on_mesh(guide, ball(0.0).coarse, guide.cameras, SECTION, 1, 0)
    assert not len(nothing.faces) and (nothing.render(guide.cameras[0], SIZE).rgb == 1).all()
    mesh = start_from(ball(RADIUS).coarse, guide.cameras, SECTION)
    with torch.no_grad():
        mesh.distance.copy_(mesh.distance.abs())
    optimiser = torch.optim.Adam([mesh.distance], lr=0.05)
    for _ in range(10):
        optimiser.zero_grad()
        loss_of(mesh, guide, guide.cameras[0], SECTION, generator_for("test")).backward()
        optimiser.step()
    assert len(marching_tetrahedra(mesh.grid.vertices, mesh.distance.detach(), mesh.grid.tetrahedra)[1])


@pytest.fixture(scope="module")
def method(prepared_smoke) -> Magic3DStyle:
    torch.manual_seed(0)
    made = Magic3DStyle(MADE["volume"], MADE["sds"], MADE["magic3d"])
    made.prepare(TrainingInputs(PreparedCategory.load(prepared_smoke)))
    return made


def test_one_step_trains_both_guides_each_at_its_size(method, prepared_smoke, monkeypatch):
    data = PreparedCategory.load(prepared_smoke)
    batch = draw_views(data, data.train[:2], 1, generator_for("batch"), torch.device("cpu"))
    sizes = {}
    for name in ("guide", "finer"):
        part = getattr(method, name)
        monkeypatch.setattr(
            part.unet, "forward", lambda x, t, name=name, once=part.unet.forward: sizes.update({name: x}) or once(x, t)
        )
    losses = method.training_step(batch, 0, generator_for("step"))
    assert losses["loss"] == losses["coarse"] + losses["fine"]
    losses["loss"].backward()
    for name, size in (("guide", MADE["sds"].image_size), ("finer", MADE["magic3d"].image_size)):
        assert sizes[name].shape[-1] == size // 2  # folded
        assert any(
            weight.grad is not None and weight.grad.abs().sum() > 0 for weight in getattr(method, name).parameters()
        )
    assert MADE["magic3d"].image_size == 2 * MADE["sds"].image_size
    assert {name.split(".")[0] for name in method.state_dict()} == {"guide", "finer", "pool"}


def test_averaged_to_the_coarse_size_finer_noise_is_as_strong_at_equal_times():
    section = finer(MADE["sds"], MADE["magic3d"])
    method = Magic3DStyle(MADE["volume"], MADE["sds"], MADE["magic3d"])
    abar, fine = method.guide.schedule.abar.double(), method.finer.schedule.abar.double()
    ratio = section.image_size // MADE["sds"].image_size
    within = slice(1, -1)  # the ends are cut
    torch.testing.assert_close((fine / (1 - fine))[within] * ratio**2, (abar / (1 - abar))[within], rtol=1e-3, atol=0)


def test_noise_of_the_second_stage_stays_within_its_limits(method, monkeypatch):
    """Of 1000 steps, t of the finer guide lies in [20, 500) and that of the first in [20, 980), and both come near the ends."""
    sds = MADE["sds"].model_copy(update={"noise_steps": 1000})
    section = MADE["magic3d"]
    assert (section.noise_min, section.noise_max) == (0.02, 0.5)
    made, asked = Magic3DStyle(MADE["volume"], sds, section), {"guide": [], "finer": []}
    made.pool = method.pool
    for name, times in asked.items():
        monkeypatch.setattr(
            getattr(made, name), "forward", lambda noisy, t, cameras, times=times: times.append((t, noisy)) or noisy
        )
    scene = made.sample(SampleRequest(0))
    assert [len(times) for times in asked.values()] == [sds.scene_steps, section.steps]  # each stage with its own
    assert [times[0][1].shape[-1] for times in asked.values()] == [sds.image_size, section.image_size]
    assert len(scene.faces)
    cameras, images = made.pool.cameras[:1], torch.rand(1, 3, 32, 32)
    for index in range(400):
        made.finer.error(images, cameras, generator_for("draw", index))
        made.guide.error(images, cameras, generator_for("draw", index))
    low, high = (torch.cat([t for t, _ in asked[name]]) for name in ("finer", "guide"))
    assert 20 <= low.min() < 30 and 490 < low.max() < 500
    assert 20 <= high.min() < 30 and 960 < high.max() < 980
