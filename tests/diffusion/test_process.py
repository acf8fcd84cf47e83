"""The noising closed form, and samplers on a problem whose answer is known."""

import math

import pytest
import torch

from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample


def test_noising_closed_form():
    schedule = NoiseSchedule(100)
    clean, noise = torch.full((2, 3), 2.0), torch.full((2, 3), -1.0)
    t = torch.tensor([0, 49])
    noisy = schedule.add_noise(clean, noise, t)
    # cosine schedule: sqrt(abar) = cos(pi / 2 * time)
    for row, step in enumerate(t.tolist()):
        angle = math.pi / 2 * (step + 1) / 100
        assert noisy[row, 0].item() == pytest.approx(2 * math.cos(angle) - math.sin(angle), abs=1e-5)


def test_noising_one_step_at_a_time_gives_the_same_variance():
    schedule = NoiseSchedule(50, shift=-2.0)
    variance, alpha, before = 0.0, 1.0, 1.0
    for abar in schedule.abar.double().tolist():
        ratio = abar / before  # x_t = sqrt(ratio) x_{t-1} + sqrt(1 - ratio) noise
        variance, alpha, before = ratio * variance + 1 - ratio, alpha * math.sqrt(ratio), abar
    assert variance == pytest.approx(1 - schedule.abar[-1].item(), abs=1e-6)
    assert alpha**2 == pytest.approx(schedule.abar[-1].item(), rel=1e-4)


def test_shift_adds_to_the_log_signal_to_noise_ratio():
    plain, shifted = NoiseSchedule(100).abar[50].double(), NoiseSchedule(100, -3.0).abar[50].double()
    assert (torch.logit(plain) - torch.logit(shifted)).item() == pytest.approx(3.0, abs=1e-3)
    assert (NoiseSchedule(100, -3.0).abar.diff() < 0).all()


@pytest.mark.parametrize("ancestral", [True, False])
def test_samplers_reach_a_known_gaussian(ancestral):
    """With the exact denoiser of N(1, 0.5^2) the samples must have that mean and deviation."""
    schedule, mean, deviation = NoiseSchedule(200), 1.0, 0.5

    def denoise(x, t):
        alpha, sigma = schedule.alpha_and_sigma(t, x)
        gain = deviation**2 * alpha / (alpha**2 * deviation**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((20000, 1), generator=generator)
    found = sample(denoise, schedule, noise, 100, generator if ancestral else None)
    assert found.mean().item() == pytest.approx(mean, abs=0.02)
    assert found.std().item() == pytest.approx(deviation, rel=0.05)


def test_strided_steps_cover_the_process_without_repeats():
    schedule = NoiseSchedule(100)
    assert schedule.strided(5) == [99, 74, 50, 25, 0]
    assert schedule.strided(1) == [99]
    assert schedule.strided(3, 0.5) == [99, 74, 50]
    assert schedule.strided(1000) == list(range(99, -1, -1))
