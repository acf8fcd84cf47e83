"""Counts of work: against ones worked out by hand, fake tensors against real ones, and the page against its counts."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from holofusion.methods.code_scenes import drawn_code
from tools import scale, work
from tools.scale_units import PRESETS, objects_of, units
from tools.tally import parameters, tally

BATCH, INPUTS, HIDDEN = 50, 20, 300
WEIGHTS = INPUTS * HIDDEN + HIDDEN  # without biases; one output


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, 1, bias=False))


def perceptron_step():
    network, inputs = perceptron(), torch.ones(BATCH, INPUTS)
    optimiser = torch.optim.SGD(network.parameters(), momentum=0.9, foreach=False)

    def step() -> None:
        network(inputs).sum().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


@pytest.mark.parametrize("fake", [True, False])
def test_counts_of_a_perceptron_are_those_worked_out_by_hand(fake: bool) -> None:
    found = tally(perceptron_step, fake)
    # products: forward, gradient of the weights, gradient of what the second layer gets
    assert found.flop == 2 * BATCH * (2 * INPUTS * HIDDEN + HIDDEN + HIDDEN + HIDDEN)
    assert found.held == 4 * (BATCH * INPUTS + 2 * WEIGHTS)  # inputs, weights, momentum
    # when the ReLU's gradient has been made: its output, the gradient of that, its own; the second layer's gradient; and
    # single numbers
    most = found.held + 4 * (3 * BATCH * HIDDEN + HIDDEN)
    assert most - 4 * BATCH * HIDDEN <= found.peak <= most + 4 * 3 * BATCH
    assert parameters(perceptron, fake) == WEIGHTS


def test_what_is_made_outside_and_freed_inside_counts_once() -> None:
    def prepare():
        kept = [torch.zeros(1000)]
        return lambda: kept.append(kept.pop() + 1)

    found = tally(prepare, False)
    assert (found.held, found.peak, found.moved, found.operations) == (4000, 8000, 8000, 1)


@pytest.mark.parametrize("method", ["holofusion", "code_fusion"])
def test_fake_tensors_count_as_real_ones_do(method: str) -> None:
    params = work.settings_of("smoke", method, volume={"precision": "fp32"})
    made = {"holofusion": lambda: work.family(params), "code_fusion": lambda: work.code_fusion(params, 6)}[method]
    fake, real = (tally(lambda: work.training(made(), params), which) for which in (True, False))
    assert (fake.flop, fake.held) == (real.flop, real.held)
    assert fake.peak == pytest.approx(real.peak, rel=0.02)
    assert fake.moved == pytest.approx(real.moved, rel=0.1)


def test_the_page_is_what_its_counts_give() -> None:
    page = scale.PAGE.read_text()
    assert scale.filled(page, json.loads(scale.COUNTS.read_text())) == page


@pytest.mark.parametrize("preset", PRESETS)
def test_counts_are_of_the_presets_as_they_are(preset: str) -> None:
    """Amounts of all units; a cheap one is counted anew. A changed preset wants `python -m tools.scale`."""
    kept = json.loads(scale.COUNTS.read_text())[preset]["units"]
    now = units(preset)
    assert [(one["step"], one["what"], one["times"]) for one in kept] == [
        (one.step, one.what, one.times) for one in now
    ]
    number = next(place for place, unit in enumerate(now) if unit.what.startswith("holodiffusion, denoising"))
    found = tally(now[number].prepare, True)
    assert (found.flop, found.peak) == (kept[number]["flop"], kept[number]["peak"])


@pytest.mark.parametrize("preset", PRESETS)
def test_denoising_steps_are_counted_as_a_scene_over_codes_takes_them(preset: str) -> None:
    """A code is drawn from noise; what denoises it only notes that it was asked."""
    params = work.settings_of(preset, "code_fusion_coarse", reconstruction={"resolution": 48}, codes={"numbers": 1})
    method, asked = work.code_fusion(params, 2), {"denoising step": 0, "denoising step in weak noise": 0}

    def noting(what: str, noisy: torch.Tensor) -> torch.Tensor:
        asked[what] += 1
        return torch.zeros_like(noisy)

    method.denoiser.forward = lambda noisy, now, estimates: noting("denoising step", noisy)
    method.estimates.local_with = lambda noisy, now, near: noting("denoising step in weak noise", noisy)
    drawn_code(method.denoise, method.schedule, method.space, 0, params.code_sampling)
    counted = {unit.what: unit.times for unit in units(preset)}
    for what, times in asked.items():
        assert counted.get(f"code_fusion_coarse, {what}", 0) == times * params.sampling.scenes
    assert sum(asked.values()) == params.code_sampling.steps


def test_strong_noise_takes_the_linear_estimate_and_weak_noise_the_local_one() -> None:
    """Products of a code of n numbers: with the directions, twice; and at each position with all codes, to weigh and to add."""
    found = {unit.what: tally(unit.prepare, unit.fake).flop for unit in units("mini") if unit.what.startswith("local_")}
    params = work.settings_of("mini", "local_estimate")
    numbers = params.codes.numbers * (params.reconstruction.resolution // params.codes.block) ** 3
    assert found["local_estimate, denoising step"] == 2 * 2 * params.estimates.rank * numbers
    assert found["local_estimate, denoising step in weak noise"] > 2 * 2 * objects_of("mini") * numbers


def test_the_preset_gpu_fits_an_evening_and_a_small_card() -> None:
    found = scale.on_card(json.loads(scale.COUNTS.read_text())["gpu"]["units"])
    assert sum(map(scale.hours_of, found)) < 0.75 * scale.EVENING
    assert (
        max(unit["peak"] for unit in found) < 9e9
    )  # of 12: what libraries and the pool of freed memory take is not counted
    assert objects_of("gpu") > 300


def test_seconds_are_those_of_the_slower_of_device_and_host() -> None:
    unit = {"flop": 0.3 * scale.PEAK, "moved": 0.3 * scale.BANDWIDTH, "operations": 1000}
    assert scale.seconds_of(unit) == pytest.approx(2.0)
    assert scale.seconds_of(unit | {"flop": 0, "moved": 0}) == pytest.approx(0.01)
