"""Patch-remix against its limiting cases, and a whole distillation on a scene whose answer is known."""

from dataclasses import dataclass

import pytest
import torch
from torch.nn import functional as F

from holofusion.cameras import Cameras, turntable
from holofusion.config.sampling import Distillation, SuperResolutionSampling
from holofusion.methods import distillation
from holofusion.methods.distillation import distil, lattice_patches, start_from, top_k_error
from holofusion.methods.least_squares_init import least_squares
from holofusion.methods.superresolution import SuperResolution, SuperResolvedFacts, SuperResolvedScene
from holofusion.networks.render_mlp import RenderMLP
from holofusion.rendering.grids import voxel_centres
from holofusion.rendering.rays import Rays
from holofusion.rendering.sparse_matrix import SparseMatrix
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from tests.sections import sections


def patches(patch: int, image: torch.Tensor) -> torch.Tensor:
    """(K, 3, S, S) -> (P, K, patch * patch, 3) on the lattice without offset."""
    cut = image.unfold(2, patch, patch).unfold(3, patch, patch)
    return cut.permute(2, 3, 0, 4, 5, 1).flatten(0, 1).flatten(2, 3)


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, 3, 16, 16, generator=generator), torch.rand(5, 3, 16, 16, generator=generator)


def test_one_hypothesis_is_plain_mse(images):
    render, bank = images
    loss = top_k_error(patches(4, render)[:, 0], patches(4, bank[:1]), 1)
    assert loss.item() == pytest.approx((render - bank[:1]).square().mean().item(), rel=1e-6)


def test_one_patch_over_the_image_is_the_best_view(images):
    render, bank = images
    loss = top_k_error(patches(16, render)[:, 0], patches(16, bank), 1)
    assert loss.item() == pytest.approx(min((render - one).square().mean().item() for one in bank), rel=1e-6)


def test_all_hypotheses_is_the_mean_error(images):
    render, bank = images
    loss = top_k_error(patches(4, render)[:, 0], patches(4, bank), 5)
    assert loss.item() == pytest.approx((render - bank).square().mean().item(), rel=1e-6)


def test_best_patches_are_chosen_one_by_one():
    """A render made of halves of two hypotheses costs nothing patch by patch, and something view by view."""
    bank = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    render = torch.cat([torch.zeros(1, 3, 8, 4), torch.ones(1, 3, 8, 4)], 3)
    assert top_k_error(patches(4, render)[:, 0], patches(4, bank), 1) == 0
    assert top_k_error(patches(8, render)[:, 0], patches(8, bank), 1) == pytest.approx(0.5)


def test_gradient_points_to_the_chosen_hypothesis_only():
    render = torch.tensor([[[0.4, 0.4, 0.4]]], requires_grad=True)
    hypotheses = torch.tensor([[[[0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]]])
    top_k_error(render, hypotheses, 1).backward()
    assert torch.allclose(render.grad, torch.full((1, 1, 3), 2 * 0.4 / 3))


def test_lattice_has_one_offset_per_step_and_stays_inside():
    candidates = torch.zeros(3, 20, 20, dtype=torch.bool)
    candidates[1, 6:14, 6:14] = True
    offsets = set()
    for seed in range(20):
        view, pixels = lattice_patches(32, 20, 4, candidates, torch.Generator().manual_seed(seed))
        assert view.unique().tolist() == [1]
        rows, columns = pixels // 20, pixels % 20
        assert pixels.min() >= 0 and rows.max() < 20
        assert torch.equal(rows.amax(1) - rows.amin(1), torch.full((32,), 3))
        corners = torch.stack([rows.amin(1) % 4, columns.amin(1) % 4], 1).unique(dim=0)
        assert len(corners) == 1  # every patch of a step lies on the same lattice
        offsets.add(tuple(corners[0].tolist()))
    assert len(offsets) > 5


def tiny_settings(**changes):
    section = dict(
        mode="full",
        loss="patch_remix",
        top_k=1,
        patch=4,
        patches=48,
        resolution=24,
        steps=60,
        learning_rate=0.1,
        decoder_rate=1e-3,
        gradient_floor=1e-8,
        samples=32,
        coarse_weight=0.02,
        sds_noise_min=0.02,
        sds_noise_max=0.98,
        checkpoint_every=25,
    )
    return Distillation.model_construct(**{**section, **changes})  # no steps at all are for tests alone


FACTS = VoxelFacts(
    extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=32, importance_samples=0, empty_density=0.5
)
SUPER_RESOLVED = SuperResolvedFacts(
    coarse=FACTS,
    superresolution=sections(
        superresolution=dict(
            objects=1, low_size=12, channels=[8, 16], blocks=1, noise_steps=10, schedule_shift=0.0, detail=0.25
        )
    )["superresolution"],
    superresolution_sampling=SuperResolutionSampling(steps=2, sampler="ddpm", end=0.0),
    seed=0,
)


class BallDecoder(RenderMLP):
    """Features (density, red, green, blue) shown as they are."""

    def forward(self, features):
        return 20 * features[..., 0].clamp_min(0), features[..., 1:].clamp(0, 1)


def ball_scene() -> SuperResolvedScene:
    centres = voxel_centres(8, 1.0)
    inside = (centres.norm(dim=1) < 0.7).float()
    grid = torch.stack([inside, *(0.5 * inside,) * 3]).reshape(1, 4, 8, 8, 8)
    coarse = VoxelScene(grid, BallDecoder(4, 16, 20.0), FACTS)
    return SuperResolvedScene(coarse, SuperResolution(SUPER_RESOLVED.superresolution, "fp32"), SUPER_RESOLVED)


def empty_scene() -> SuperResolvedScene:
    scene = ball_scene()
    nothing = VoxelScene(torch.zeros_like(scene.coarse.field.grid), scene.coarse.field.decoder, FACTS)
    return SuperResolvedScene(nothing, scene.network, SUPER_RESOLVED)


@dataclass(frozen=True)
class ExactBank:
    """A bank whose images are not rounded to bytes."""

    cameras: Cameras
    bank: torch.Tensor

    def images(self, device) -> torch.Tensor:
        return self.bank


def recoloured_bank(scene, cameras, colours) -> torch.Tensor:
    """Per view the coarse render with its grey replaced by each of the colours: (V, K, 3, 24, 24)."""
    views = scene.coarse.render(cameras, 24)
    return torch.stack([1 - views.alpha + views.alpha * torch.tensor(c).reshape(1, 3, 1, 1) for c in colours], 1)


@pytest.mark.parametrize("loss", ["patch_remix", "mse"])
@pytest.mark.parametrize(("mode", "steps"), [("full", 60), ("fast", 0), ("fast", 4)])
def test_distillation_takes_on_the_colour_of_the_hypotheses(loss, mode, steps, tmp_path):
    settings = tiny_settings(loss=loss, mode=mode, steps=steps)
    scene, cameras = ball_scene(), turntable(8, 20.0, 5.0, 2.5)
    bank = recoloured_bank(scene, cameras, [(0.9, 0.2, 0.1)])
    result = distil(scene, ExactBank(cameras, bank), settings, tmp_path / "state", "stamp")
    before = (scene.coarse.render(cameras, 24).rgb - bank[:, 0]).square().mean()
    after = (result.render(cameras, 24).rgb - bank[:, 0]).square().mean()
    assert after < (0.1 if mode == "full" else 0.2) * before  # what is fast leaves the outline as it is
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_an_empty_scene_stays_empty(mode, tmp_path):
    settings = tiny_settings(mode=mode)
    scene, cameras = empty_scene(), turntable(8, 20.0, 5.0, 2.5)
    white = torch.ones(8, 1, 3, 24, 24)
    assert (
        distil(scene, ExactBank(cameras, white), settings, tmp_path / "state", "stamp").render(cameras, 24).rgb == 1
    ).all()


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_hypotheses_of_an_empty_scene_that_show_something_are_survived(mode, tmp_path):
    settings = tiny_settings(mode=mode, steps=2)
    scene, cameras = empty_scene(), turntable(8, 20.0, 5.0, 2.5)
    grey = torch.full((8, 1, 3, 24, 24), 0.5)
    assert (
        distil(scene, ExactBank(cameras, grey), settings, tmp_path / "state", "stamp")
        .render(cameras, 24)
        .rgb.isfinite()
        .all()
    )


def test_the_initial_colours_are_the_least_squares_solution():
    """Of a small system, against the normal equations solved directly."""
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(40, 6, generator=generator) * (torch.rand(40, 6, generator=generator) < 0.5)
    rows, columns = dense.nonzero(as_tuple=True)
    starts = torch.searchsorted(rows, torch.arange(40))
    matrix = SparseMatrix(columns.int(), dense[rows, columns], starts.int())
    residual = torch.randn(40, 3, generator=generator)
    transpose = matrix.transposed(6)
    assert torch.allclose(transpose @ residual, dense.T @ residual, atol=1e-5)
    exact = torch.linalg.solve(dense.T @ dense + 0.02 * torch.eye(6), dense.T @ residual)
    assert torch.allclose(least_squares(matrix, transpose, residual, 0.02), exact, atol=1e-3)


def test_the_initial_colours_bring_out_a_pattern_finer_than_the_coarse_grid(tmp_path):
    """Every view shows the ball halved, left red and right blue in the world, with one hard edge."""
    settings = tiny_settings(mode="fast", steps=0)
    scene, cameras = ball_scene(), turntable(12, 20.0, 5.0, 2.5)
    views = scene.coarse.render(cameras, 24)
    rays = Rays.through(cameras, 24)
    left = rays.at(views.depth.flatten(1)[..., None])[..., 0, 0].reshape(views.alpha.shape) < 0
    colour = torch.where(
        left, torch.tensor([0.9, 0.1, 0.1])[:, None, None], torch.tensor([0.1, 0.1, 0.9])[:, None, None]
    )
    target = 1 - views.alpha + views.alpha * colour
    after = (
        distil(scene, ExactBank(cameras, target[:, None]), settings, tmp_path / "state", "stamp")
        .render(cameras, 24)
        .rgb
    )
    assert (after - target).square().mean() < 0.2 * (views.rgb - target).square().mean()


def test_patch_remix_commits_where_the_mean_hesitates(tmp_path):
    """Half the hypotheses are red, half blue: top-1 must end near one of them, the mean of all in between."""
    cameras = turntable(8, 20.0, 5.0, 2.5)
    colours = [(0.9, 0.1, 0.1), (0.1, 0.1, 0.9)] * 2
    distances = {}
    for k in (1, 4):
        settings = tiny_settings(top_k=k)
        scene = ball_scene()
        bank = recoloured_bank(scene, cameras, colours)
        rgb = distil(scene, ExactBank(cameras, bank), settings, tmp_path / "state", "stamp").render(cameras, 24).rgb
        distances[k] = (rgb[:, None] - bank).square().mean((2, 3, 4)).amin(1).mean().item()
    assert distances[1] < 0.25 * distances[4]


def test_score_distillation_moves_towards_the_guide(tmp_path):
    """A guide that sees a red ball whatever the noise: the scene becomes red."""
    settings = tiny_settings(loss="sds")
    scene, cameras = ball_scene(), turntable(8, 20.0, 5.0, 2.5)
    red = torch.tensor([0.9, 0.2, 0.1]).reshape(1, 3, 1, 1)

    def guide(noisy, t, low):
        alpha = F.interpolate(low[:, 3:], size=noisy.shape[2:], mode="bilinear")
        return (1 - alpha + alpha * red) * 2 - 1

    scene.network.forward = guide
    bank = recoloured_bank(scene, cameras, [(0.5, 0.5, 0.5)])
    target = recoloured_bank(scene, cameras, [(0.9, 0.2, 0.1)])[:, 0]
    after = distil(scene, ExactBank(cameras, bank), settings, tmp_path / "state", "stamp").render(cameras, 24).rgb
    before = scene.coarse.render(cameras, 24).rgb
    assert (after - target).square().mean() < 0.5 * (before - target).square().mean()


def test_killed_distillation_goes_on_to_the_same_result(tmp_path, monkeypatch):
    settings = tiny_settings()
    scene, cameras = ball_scene(), turntable(8, 20.0, 5.0, 2.5)
    bank = recoloured_bank(scene, cameras, [(0.9, 0.2, 0.1), (0.2, 0.9, 0.1)])
    whole = distil(scene, ExactBank(cameras, bank), settings, tmp_path / "a", "stamp").tensors()
    steps = iter(range(1000))

    def dies_at_37(*arguments):
        if next(steps) == 37:
            raise KeyboardInterrupt
        return top_k_error(*arguments)

    monkeypatch.setattr("holofusion.methods.distillation.top_k_error", dies_at_37)
    with pytest.raises(KeyboardInterrupt):
        distil(scene, ExactBank(cameras, bank), settings, tmp_path / "b", "stamp")
    monkeypatch.undo()
    resumed = distil(scene, ExactBank(cameras, bank), settings, tmp_path / "b", "stamp").tensors()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("rays", [100, 10_000])
def test_score_distillation_renders_again_what_it_rendered(rays, monkeypatch):
    """The gradient of a view in parts, forgotten and rendered again, is that of the parts kept."""
    settings = tiny_settings(loss="sds")
    field, camera = start_from(ball_scene().coarse, 24), turntable(1, 20.0, 5.0, 2.5)
    monkeypatch.setattr(distillation, "RAYS_OF_A_PART", rays)

    def gradient() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        rendered = distillation._render_many(field, Rays.through(camera, 24), settings.samples, "fp32", generator)
        return torch.autograd.grad((rendered - 0.3).square().sum(), field.grid.values)[0]

    forgotten = gradient()
    monkeypatch.setattr(distillation, "checkpoint", lambda part, *given, **_: part(*given))
    assert torch.equal(forgotten, gradient())
    assert forgotten.abs().max() > 0
