"""The local estimate against a loop over positions, and estimates that leave the asked code out."""

from __future__ import annotations

import pytest
import torch

from holofusion.diffusion.estimates import LEVELS, Estimates, blend_weights
from holofusion.diffusion.local import LocalEstimate, Neighbourhood
from holofusion.diffusion.process import NoiseSchedule
from holofusion.utils.random import generator_for

N, C, M = 5, 2, 4


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "near", [Neighbourhood(1), Neighbourhood(3, 0.5), Neighbourhood(3, 1.0, 8.0), Neighbourhood(99, 1.0)]
)
def test_local_estimate_is_the_softmax_over_training_codes(near):
    codes, variance, alpha, sigma = draw(N, C, M, M, M), torch.tensor([1.0, 2.0]), 0.7, 0.6
    noisy = alpha * draw(2, C, M, M, M, seed=1) + sigma * draw(2, C, M, M, M, seed=2)
    found = LocalEstimate(codes, variance)(noisy, alpha, sigma, near)
    total_variance = alpha**2 * near.bandwidth**2 * variance + sigma**2
    reach = near.width // 2
    for z, y, x in ((0, 0, 0), (1, 2, 3), (3, 1, 0)):
        box = tuple(slice(max(0, place - reach), place + reach + 1) for place in (z, y, x))
        for row in range(2):
            apart = (noisy[row][(slice(None), *box)] - alpha * codes[(slice(None), slice(None), *box)]).square()
            evidence = -(apart / total_variance[:, None, None, None] / 2).sum((1, 2, 3, 4)) / near.temperature
            expected = torch.einsum("n,nc->c", evidence.softmax(0), codes[:, :, z, y, x])
            torch.testing.assert_close(found[row, :, z, y, x], expected, atol=1e-4, rtol=1e-4)


def test_without_noise_each_code_is_its_own_estimate_unless_left_out():
    codes = draw(N, C, M, M, M)
    estimate, near = LocalEstimate(codes, torch.ones(C)), Neighbourhood(3)
    torch.testing.assert_close(estimate(codes, 1.0, 0.05, near), codes)
    weights = estimate.weights(codes, 1.0, 0.05, near, torch.arange(N))
    own = torch.stack([weights[:, number, number] for number in range(N)])
    assert (own == 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(M**3, N))


@pytest.fixture(scope="module")
def estimates():
    found = Estimates((C, M, M, M), 3, NoiseSchedule(1001, -2.0))
    shared = draw(1, C, M, M, M, seed=7)
    found.fit(0.7 * draw(12, C, M, M, M) + shared * draw(12, 1, 1, 1, 1, seed=8), folds=3)
    found.choose(4)
    return found


def test_the_linear_estimate_of_a_fold_does_not_know_its_codes(estimates):
    codes = estimates.codes.float()
    changed = codes.clone()
    changed[4] = 100.0
    other = Estimates((C, M, M, M), 3, estimates.schedule)
    other.fit(changed, folds=3)
    noisy, left_out = draw(1, C, M, M, M, seed=3), torch.tensor([4])
    torch.testing.assert_close(estimates.linear_at(noisy, 400, left_out), other.linear_at(noisy, 400, left_out))
    assert not torch.allclose(estimates.linear_at(noisy, 400), other.linear_at(noisy, 400))


def test_the_blend_is_no_worse_than_its_parts_where_it_was_chosen(estimates):
    numbers = torch.arange(4) * len(estimates.codes) // 4
    truth = estimates.codes[numbers].float()
    for share in LEVELS[1:]:
        t = round(share * (estimates.schedule.steps - 1))
        alpha, sigma = estimates.alpha_and_sigma(t)
        noisy = alpha * truth + sigma * torch.randn(truth.shape, generator=generator_for("choose", share))
        linear, local = (part(noisy, t, numbers) for part in (estimates.linear_at, estimates.local_at))
        blended = blend_weights([linear, local], truth)[..., None, None, None]
        mixed = blended[:, 0] * linear + blended[:, 1] * local
        errors = [(part - truth).square().mean() for part in (mixed, linear, local)]
        assert errors[0] <= min(errors[1:]) * 1.01


def test_blend_between_levels_lies_between(estimates):
    ones, zeros = torch.ones(1, C, M, M, M), torch.zeros(1, C, M, M, M)
    steps = estimates.schedule.steps - 1
    ends = [estimates.blend(ones, zeros, round(share * steps)) for share in LEVELS[3:5]]
    middle = estimates.blend(ones, zeros, round((LEVELS[3] + LEVELS[4]) / 2 * steps))
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    assert (middle >= low - 1e-5).all() and (middle <= high + 1e-5).all()


def test_weights_load_whatever_the_number_of_codes(estimates):
    other = Estimates((C, M, M, M), 3, estimates.schedule)
    other.load_state_dict(estimates.state_dict())
    noisy = draw(1, C, M, M, M, seed=3)
    assert torch.equal(other.local_at(noisy, 400), estimates.local_at(noisy, 400))
