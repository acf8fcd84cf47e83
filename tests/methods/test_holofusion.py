"""The joint training step: what is noised, what is supervised, and where gradients go."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from holofusion.cameras import turntable
from holofusion.config.sampling import SuperResolutionSampling
from holofusion.data.batches import ViewBatch, pick_pixels, take_pixels
from holofusion.methods.base import TrainingInputs, WarmupResult, build
from holofusion.methods.holodiffusion import HoloDiffusion
from holofusion.methods.holofusion import HoloFusion, crop_windows
from holofusion.methods.superresolution import SuperResolution
from holofusion.scenes.base import SampleRequest
from holofusion.utils.files import UserError
from tests.sections import sections


def settings(**training):
    return sections(
        volume=dict(resolution=8, features=8, extent=1.0, decoder_width=8, density_scale=20.0, precision="fp32"),
        rendering=dict(image_size=16, coarse_samples=8, importance_samples=4, occupied_samples=12, empty_density=0.5),
        denoiser=dict(channels=[8, 16], blocks=1, linear_rank=2, noise_steps=20, schedule_shift=-3.0),
        superresolution=dict(
            objects=1,
            crop=16,
            draws=2,
            low_size=8,
            channels=[8, 16],
            blocks=1,
            noise_steps=10,
            detail=0.2,
            schedule_shift=3.0,
            learning_rate=1e-3,
            weight=1.0,
            render_noise_max=0.3,
        ),
        training={
            **dict(
                steps=10,
                batch=4,
                learning_rate=1e-3,
                decoder_rate=0.1,
                bootstrap=0.5,
                grid_weight=1.0,
                grid_until=1.0,
                photometric_weight=10.0,
                mask_weight=0.2,
                rendered=2,
                rays=16,
                target_views=2,
                ema=0.9,
                checkpoint_every=5,
            ),
            **training,
        },
    )


def superresolution() -> SuperResolution:
    """An untrained network."""
    torch.manual_seed(0)
    return SuperResolution(settings()["superresolution"], "fp32")


def way(steps: int) -> SuperResolutionSampling:
    return SuperResolutionSampling(steps=steps, sampler="ddim", end=0.0)


def method_and_batch(**training) -> tuple[HoloFusion, ViewBatch]:
    method = build(HoloFusion, settings(**training), torch.device("cpu"), 0)
    generator = torch.Generator().manual_seed(0)
    for parameter in method.parameters():  # zero-initialised outputs would stop gradients
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    names = ["a", "b", "c", "d"]
    warmup = WarmupResult(torch.randn(4, 8, 8, 8, 8, generator=generator), method.coarse.decoder.state_dict())
    method.prepare(TrainingInputs(SimpleNamespace(train=names, folder="data"), warmup))
    images = torch.rand(4, 2, 3, 32, 32, generator=generator)
    return method, ViewBatch(names, images, torch.ones(4, 2, 1, 32, 32), turntable(8, 20.0, 5.0, 2.0))


def passes(method: HoloFusion, batch: ViewBatch, monkeypatch) -> list[int]:
    """Batch sizes of all calls of the 3D denoiser in one step."""
    calls, original = [], HoloDiffusion.denoise
    monkeypatch.setattr(HoloDiffusion, "denoise", lambda self, x, t: calls.append(len(x)) or original(self, x, t))
    method.training_step(batch, 0, torch.Generator().manual_seed(0))
    return calls


def test_bootstrap_denoises_its_share_of_the_batch_again(monkeypatch):
    assert passes(*method_and_batch(bootstrap=0.5), monkeypatch) == [4, 2]


def test_no_bootstrap_denoises_once(monkeypatch):
    assert passes(*method_and_batch(bootstrap=0.0), monkeypatch) == [4]


def test_bootstrapped_input_is_the_own_prediction(monkeypatch):
    """The second pass starts from noised predictions, with gradients through both passes."""
    method, batch = method_and_batch()
    inputs, original = [], HoloDiffusion.denoise
    monkeypatch.setattr(HoloDiffusion, "denoise", lambda self, x, t: inputs.append(x) or original(self, x, t))
    method.training_step(batch, 0, torch.Generator().manual_seed(0))
    assert not inputs[0].requires_grad
    assert inputs[1].requires_grad


def test_super_resolution_trains_the_3d_denoiser_through_the_render():
    method, batch = method_and_batch(grid_weight=0.0, photometric_weight=0.0)
    losses = method.training_step(batch, 0, torch.Generator().manual_seed(0))
    losses["loss"].backward()
    assert sum(p.grad.abs().sum() for p in method.coarse.unet.parameters() if p.grad is not None) > 0
    assert sum(p.grad.abs().sum() for p in method.superresolution.parameters()) > 0


def test_crops_of_images_and_renders_show_the_same_place(monkeypatch):
    """Images and (here) renders that hold their own pixel coordinates: averaged, the crop of one is the crop of the other."""
    method, batch = method_and_batch()
    axis = (torch.arange(32) + 0.5) / 32
    images = torch.stack([axis.expand(32, 32), axis[:, None].expand(32, 32), torch.zeros(32, 32)])
    masks = torch.zeros(4, 2, 1, 32, 32)
    masks[..., 20:24, 4:8] = 1
    views = ViewBatch(batch.names, images.expand(4, 2, 3, 32, 32), masks, batch.cameras)

    def coordinates(field, rays, *_):
        points = rays.origins + 5 * rays.directions
        ndc = torch.cat([views.cameras[i].project(points[i])[0] for i in range(len(points))])
        rgb = torch.cat([(1 - ndc) / 2, torch.zeros_like(ndc[..., :1])], -1).reshape(points.shape)
        return SimpleNamespace(rgb=rgb, alpha=torch.ones(rays.shape))

    monkeypatch.setattr("holofusion.methods.holofusion.render_rays", coordinates)
    sharp, low = method.crops(torch.zeros(8, 8, 8, 8, 8), views, torch.Generator().manual_seed(0))
    assert sharp.shape == (8, 3, 16, 16)
    assert torch.allclose(F.avg_pool2d(sharp, 4), low[:, :3], atol=1e-4)
    assert len({tuple(corner) for corner in sharp[:, :2, 0, 0].tolist()}) > 1


def test_crop_windows_hold_the_object():
    masks = torch.zeros(50, 1, 16, 16)
    masks[:, 0, 3, 14] = 1e9
    rows, columns = crop_windows(masks, 4, torch.Generator().manual_seed(0))
    assert (rows == 3).any(1).all() and (columns == 14).any(1).all()
    assert torch.equal(rows.diff(dim=1), torch.ones(50, 3).long())


def test_super_resolution_works_on_the_window_around_the_object():
    """Pixels outside the window around the object are the render's; inside, they are not."""
    network = superresolution()
    low = torch.ones(1, 4, 8, 8)
    low[:, 3] = 0
    low[:, :, 2:4, 4:6] = torch.tensor([0.2, 0.3, 0.4, 1.0])[None, :, None, None]
    sharp = network.superresolve(low, 32, way(3), torch.Generator().manual_seed(0))
    assert not torch.equal(sharp[0, :, 4:20, 12:28], torch.ones(3, 16, 16))
    outside = sharp.clone()
    outside[0, :, 4:20, 12:28] = 1
    assert torch.equal(outside, torch.ones(1, 3, 32, 32))


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
def test_super_resolution_takes_renders_of_any_factor(factor):
    """The window around an object off every lattice still has sides that the U-Net can halve."""
    network = superresolution()
    low = torch.ones(1, 4, 20, 20)
    low[:, 3] = 0
    low[:, 3, 6:7, 9:10] = 1
    assert network.superresolve(low, 20 * factor, way(1), torch.Generator().manual_seed(0)).shape == (
        1,
        3,
        20 * factor,
        20 * factor,
    )


def test_grid_error_counts_only_while_it_is_wanted():
    method, batch = method_and_batch(grid_until=0.5, photometric_weight=0.0)
    early = method.training_step(batch, 4, torch.Generator().manual_seed(0))
    late = method.training_step(batch, 5, torch.Generator().manual_seed(0))
    assert early["loss"].item() == pytest.approx((early["grid"] + early["superresolution"]).item(), rel=1e-5)
    assert late["loss"].item() == pytest.approx(late["superresolution"].item(), rel=1e-5)


def test_standardised_grids_differ_between_objects_by_one():
    coarse = build(HoloDiffusion, settings(), torch.device("cpu"), 0)
    generator = torch.Generator().manual_seed(0)
    shared = 10 * torch.randn(1, 8, 8, 8, 8, generator=generator)
    grids = shared + 0.3 * torch.randn(20, 8, 8, 8, 8, generator=generator)
    standardised = coarse.standardise_by(grids)
    assert torch.allclose(standardised.mean(0), torch.zeros(8, 8, 8, 8), atol=1e-4)
    assert torch.allclose(standardised.square().mean((0, 2, 3, 4)), torch.ones(8), atol=1e-3)
    assert torch.allclose(coarse.restore(standardised), grids, atol=1e-3)


def test_untrained_super_resolution_shows_the_upsampled_render():
    network = superresolution()
    ramp = torch.linspace(0, 1, 8).expand(1, 4, 8, 8)
    shown = network(torch.randn(1, 3, 32, 32), torch.tensor([network.schedule.steps - 1]), ramp)
    assert torch.allclose((shown[0, 0, 0, 2::4] + shown[0, 0, 0, 1::4]) / 2, ramp[0, 0, 0] * 2 - 1, atol=0.08)


def test_super_resolution_leaves_empty_background_white():
    network = superresolution()
    low = torch.ones(1, 4, 8, 8)
    low[:, 3] = 0
    low[:, :, 4, 4] = torch.tensor([0.2, 0.3, 0.4, 1.0])
    sharp = network.superresolve(low, 32, way(4), torch.Generator().manual_seed(0))
    assert torch.equal(sharp[0, :, :8], torch.ones(3, 8, 32))
    assert not torch.equal(sharp[0, :, 16:20, 16:20], torch.ones(3, 4, 4))


def test_pixels_are_drawn_mostly_on_the_object():
    masks = torch.zeros(1, 1, 10, 10)
    masks[..., :5, :5] = 1
    pixels = pick_pixels(masks, 4000, torch.Generator().manual_seed(0))
    share = take_pixels(masks, pixels).mean().item()
    assert share == pytest.approx(25 * 1.25 / (25 * 1.25 + 75 * 0.25), abs=0.03)


def test_the_warmups_grids_follow_the_module_but_are_no_weights():
    method, _ = method_and_batch()
    assert "grids" not in method.state_dict() and dict(method.named_buffers())["grids"].shape == (4, 8, 8, 8, 8)
    assert method.double().grids.dtype == torch.float64


def test_a_warmup_that_is_missing_or_of_other_data_is_refused():
    method = build(HoloFusion, settings(), torch.device("cpu"), 0)
    data = SimpleNamespace(train=["a", "b", "c"], folder="data")
    with pytest.raises(UserError, match="--warmup: this method trains on a warm-up"):
        method.prepare(TrainingInputs(data))
    warmup = WarmupResult(torch.zeros(4, 8, 8, 8, 8), method.coarse.decoder.state_dict())
    with pytest.raises(UserError, match="grids of 4 objects, data has 3"):
        method.prepare(TrainingInputs(data, warmup))


def test_what_it_was_not_built_for_is_named():
    method = build(HoloFusion, {**settings(), "sampling": None}, torch.device("cpu"), 0)
    with pytest.raises(UserError, match="^sampling: this section is needed"):
        method.sample(SampleRequest(0))
