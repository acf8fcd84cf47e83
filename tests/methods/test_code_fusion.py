"""The denoiser over codes and what super-resolution learns from: held against what they are to be before any training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from holofusion.data.batches import draw_views
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import CodesResult, TrainingInputs, build
from holofusion.methods.closed_form import GaussianSamples, takes_local
from holofusion.methods.code_fusion import CodeFusion
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import settings_for
from holofusion.scenes.base import SampleRequest
from holofusion.utils.files import UserError
from tests.coded_balls import balls_as_codes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def params(repository):
    return load_params(repository / "params.yaml", "smoke")


@pytest.fixture(scope="module")
def inputs(prepared_smoke, params) -> TrainingInputs:
    return balls_as_codes(PreparedCategory.load(prepared_smoke), params)


@pytest.fixture(scope="module")
def method(inputs, params) -> CodeFusion:
    sections = {name: getattr(params, name) for name in type(params).model_fields}
    found = build(CodeFusion, sections, CPU, 0, "train")
    found.prepare(inputs)
    return found


def test_an_untrained_denoiser_is_the_blend_of_the_estimates(method):
    noisy, t, left_out = torch.randn(2, *method.space.shape), 5, torch.tensor([1, 4])
    estimates = method.estimates
    parts = [part(noisy, t, left_out) for part in (estimates.linear_at, estimates.local_at)]
    torch.testing.assert_close(method.denoiser(noisy, t, estimates, left_out), estimates.blend(*parts, t))


def test_with_the_linear_estimate_alone_it_is_that(inputs, params):
    content = settings_for(params, "code_fusion_linear")
    sections = {name: getattr(params, name) for name in type(params).model_fields}
    for name in ("code_denoiser", "code_training"):
        sections[name] = type(sections[name]).model_validate(content[name])
    linear = build(CodeFusion, sections, CPU, 0, "train")
    linear.prepare(inputs)
    noisy = torch.randn(1, *linear.space.shape)
    torch.testing.assert_close(linear.denoiser(noisy, 5, linear.estimates), linear.estimates.linear_at(noisy, 5))
    with pytest.raises(UserError, match="no super-resolution was trained"):
        linear.superresolve(None, 0)


def test_a_step_moves_both_networks_and_comes_from_its_generator(method, inputs):
    batch = draw_views(inputs.data, inputs.data.train[:2], 1, torch.Generator().manual_seed(0), CPU)
    losses = [method.training_step(batch, 0, torch.Generator().manual_seed(k)) for k in (1, 1, 2)]
    assert losses[0]["loss"] == losses[1]["loss"] != losses[2]["loss"]
    losses[0]["loss"].backward()
    for part in (method.denoiser.unet.output, method.superresolution.unet.output):
        assert part.weight.grad.abs().sum() > 0
    assert all(value.grad is None for value in method.space.parameters())  # the decoder stays
    method.zero_grad()


def test_a_scene_comes_from_its_seed_alone(method):
    first, again, other = (method.sample(SampleRequest(seed)).field.grid for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (1, 4, 16, 16, 16)


def test_crops_of_renders_show_what_the_photographs_beside_them_show(method):
    """Renders replaced by the photographs themselves, made smaller: then each crop must equal its photograph's mean."""
    pairs, size = method.pairs, method.pairs.low.shape[-1]
    photographs = torch.stack([inputs_image(pairs, row) for row in pairs.rows])
    small = torch.nn.functional.interpolate(photographs, size=(size, size), mode="area")
    opaque = torch.ones_like(small[:, :1])
    same = replace(pairs, low=torch.cat([small, opaque], 1).half(), shown=opaque[:, 0].bool())
    sharp, low = same.crops(12, 16, torch.Generator().manual_seed(0))
    assert sharp.shape == (12, 3, 16, 16) and low.shape[-1] == 16 * size // pairs.data.image_size
    averaged = torch.nn.functional.interpolate(sharp, size=low.shape[-2:], mode="area")
    torch.testing.assert_close(low[:, :3], averaged, atol=2e-3, rtol=0)


def inputs_image(pairs, row):
    return torch.from_numpy(pairs.data.images[row].copy()).permute(2, 0, 1).float() / 255


def test_the_local_estimate_takes_over_below_its_share(method, params):
    section = params.code_sampling.model_copy(update={"local_below": 0.4})
    local = [takes_local(method.schedule, t, section) for t in range(method.schedule.steps)]
    assert local == [t <= 0.4 * 9 for t in range(10)]
    never = section.model_copy(update={"local_below": 0.0})
    assert not any(takes_local(method.schedule, t, never) for t in range(10))


def test_draws_from_the_gaussian_have_its_covariance(inputs, params):
    sections = {name: getattr(params, name) for name in type(params).model_fields}
    gaussian = build(GaussianSamples, sections, CPU, 0, "train")
    gaussian.prepare(inputs)
    codes = gaussian.space.standardised(inputs.codes.train.float()).flatten(1)
    assert abs(gaussian.linear.variances.sum() - codes.square().sum(1).mean()) < 0.2 * codes.square().sum(1).mean()
    grids = [gaussian.sample(SampleRequest(seed)).field.grid for seed in (0, 1)]
    assert not torch.equal(*grids)


def test_codes_of_other_data_are_refused(method, inputs):
    codes = inputs.codes
    fewer = CodesResult(codes.train[1:], codes.held_out, codes.decoder)
    with pytest.raises(UserError, match="--codes: holds codes of shape"):
        method.prepare(TrainingInputs(inputs.data, None, fewer))
    with pytest.raises(UserError, match="--codes: this method trains on"):
        method.prepare(TrainingInputs(inputs.data))
