"""Fusion in one pass: what it starts from, what it takes over and leaves alone, and that training brings renders nearer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from holofusion.data.batches import draw_views
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs, build
from holofusion.methods.code_fusion import CodeFusion
from holofusion.methods.code_scenes import plain_scene
from holofusion.methods.distillation import start_from
from holofusion.methods.feedforward import FeedForwardFusion, Unfused, normals_of
from holofusion.pipeline.checks import load_params
from holofusion.rendering.grids import voxel_centres
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.files import load_scene
from holofusion.utils.files import UserError
from tests.coded_balls import balls_as_codes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def params(repository):
    return load_params(repository / "params.yaml", "smoke")


@pytest.fixture(scope="module")
def sections(params):
    return {name: getattr(params, name) for name in type(params).model_fields}


@pytest.fixture(scope="module")
def base(prepared_smoke, params, sections) -> CodeFusion:
    """HoloFusion over codes of balls, not trained."""
    found = build(CodeFusion, sections, CPU, 3, "train")
    found.prepare(balls_as_codes(PreparedCategory.load(prepared_smoke), params))
    return found


@pytest.fixture(scope="module")
def inputs(prepared_smoke, base) -> TrainingInputs:
    return TrainingInputs(PreparedCategory.load(prepared_smoke), base=base.state_dict())


@pytest.fixture
def method(inputs, sections) -> FeedForwardFusion:
    found = build(FeedForwardFusion, sections, CPU, 0, "train")
    found.prepare(inputs)
    return found


@pytest.fixture(scope="module")
def scene(base):
    return base.superresolve(base.sample(SampleRequest(0)), 0)


@pytest.fixture(scope="module")
def bank(base, scene, inputs):
    return base.draw_hypotheses(scene, inputs.data.evaluation_cameras, inputs.data.image_size)


def test_untrained_it_renders_the_coarse_scene(method, base, scene, bank, inputs):
    cameras, section = inputs.data.evaluation_cameras[:3], method.feedforward
    fused = method.fuse(scene, bank)
    field = start_from(scene.coarse, section.resolution)
    assert torch.equal(fused.field.grid.values, field.grid.values)
    assert fused.facts.coarse_samples == section.samples
    alike = type(fused)(
        fused.field, fused.facts.model_copy(update={"coarse_samples": scene.coarse.facts.coarse_samples})
    )
    for part in ("rgb", "alpha"):
        theirs = getattr(scene.coarse.render(cameras, 32), part)
        torch.testing.assert_close(getattr(alike.render(cameras, 32), part), theirs, atol=1e-4, rtol=0)
    assert fused.render(cameras, 32).alpha.max() > 0.9  # there is something


def test_what_it_takes_over_stays_as_it_is(method, base, inputs):
    assert torch.equal(method.sample(SampleRequest(5)).field.grid, base.sample(SampleRequest(5)).field.grid)
    batch = draw_views(inputs.data, inputs.data.train[:1], 1, torch.Generator().manual_seed(0), CPU)
    losses = [method.training_step(batch, 0, torch.Generator().manual_seed(k))["loss"] for k in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    losses[0].backward()
    moved = {name for name, value in method.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert moved and all(name.startswith("fusion.") for name in moved)
    trained = [value for group in method.parameter_groups() for value in group["params"]]
    assert {id(value) for value in trained} == {id(value) for value in method.fusion.parameters()}


def test_hypotheses_are_of_as_many_objects_as_are_asked_for(method, inputs, sections):
    known = inputs.data.train
    assert list(method.examples) == [known[place * len(known) // 3] for place in range(3)]
    views = next(iter(method.examples.values())).views
    again = build(FeedForwardFusion, sections, CPU, 0, "train")
    again.prepare(inputs)  # as a killed training does before it goes on
    for name, part in vars(again.examples[known[0]].views).items():
        assert torch.equal(part, getattr(views, name))
    assert len(views.seen) > 100 and views.seen.any(1).all()
    assert views.values.shape[1:] == (sections["feedforward"].views, sections["hypotheses"].count, 3)


def test_training_brings_renders_nearer_to_photographs(method, inputs):
    """The balls look nothing like the photographs of the objects whose names they have: colours alone come nearer."""
    batch = draw_views(inputs.data, inputs.data.train[:1], 1, torch.Generator().manual_seed(0), CPU)
    optimiser = torch.optim.Adam(method.parameter_groups()[0]["params"], lr=0.02)

    def loss(seed: int) -> torch.Tensor:
        return method.training_step(batch, 0, torch.Generator().manual_seed(seed))["loss"]

    def mean() -> float:
        with torch.no_grad():
            return float(sum(loss(1000 + seed) for seed in range(12)) / 12)

    before = mean()
    for seed in range(40):
        optimiser.zero_grad()
        loss(seed).backward()
        optimiser.step()
    assert mean() < 0.8 * before


def test_a_fused_scene_is_the_same_each_time_and_comes_back_from_its_file(method, scene, bank, inputs, tmp_path):
    with torch.no_grad():
        method.fusion.change.bias += torch.tensor([0.5, 1.0, 0.1, 0.0, -0.1])
    first, again = method.fuse(scene, bank), method.fuse(scene, bank)
    assert torch.equal(first.field.grid.values, again.field.grid.values)
    values = start_from(scene.coarse, method.feedforward.resolution).grid.values
    changed = (first.field.grid.values != values).any(1)
    assert changed.sum() == len(Unfused.of(scene.coarse, bank, method.feedforward).voxels)
    assert not changed[0]  # empty space
    first.save(tmp_path)
    cameras = inputs.data.evaluation_cameras[:1]
    assert torch.equal(load_scene(tmp_path)[0].render(cameras, 16).rgb, first.render(cameras, 16).rgb)


def test_with_nothing_in_it_a_scene_stays_empty(method, base, bank):
    grid = torch.full((1, 4, 16, 16, 16), -8.0)
    empty = base.superresolve(plain_scene(grid, base.reconstruction), 0)
    assert (method.fuse(empty, bank).render(bank.cameras, 16).rgb == 1).all()


def test_normals_of_a_ball_point_outwards(base):
    size = 24
    radius = voxel_centres(size, 1.0).norm(dim=1)
    grid = torch.cat([(10 * (0.6 - radius))[None], torch.zeros(3, size**3)]).reshape(1, 4, size, size, size)
    points = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    normals = normals_of(plain_scene(grid, base.reconstruction), 0.6 * points, 0.05)
    assert float((normals * points).sum(1).min()) > 0.99


def test_what_is_no_finished_training_of_this_data_is_refused(inputs, sections):
    method = build(FeedForwardFusion, sections, CPU, 0, "train")
    with pytest.raises(UserError, match="--base: this method takes over a finished training; name its folder"):
        method.prepare(TrainingInputs(inputs.data))
    less = {name: value for name, value in inputs.base.items() if not name.startswith("superresolution.")}
    with pytest.raises(UserError, match=r"--base: not the weights of HoloFusion over codes .*\(superresolution\."):
        method.prepare(replace(inputs, base=less))
    wider = inputs.base | {"denoiser.unet.output.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"--base: not the weights of HoloFusion over codes .*denoiser\.unet\.output"):
        method.prepare(replace(inputs, base=wider))
    fewer = inputs.base | {"estimates.codes": inputs.base["estimates.codes"][:2]}
    with pytest.raises(UserError, match="--base: trained on 2 objects, the data has"):
        method.prepare(replace(inputs, base=fewer))
