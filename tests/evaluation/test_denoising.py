"""Errors per noise level of estimates whose errors are known."""

import pytest
import torch

from holofusion.evaluation.denoising import denoising_errors

CODES = torch.randn(512, 2, 4, 4, 4, generator=torch.Generator().manual_seed(5))
LEVELS = [(0.8, 0.6), (0.6, 0.8), (0.1, 0.99)]


def test_known_estimates_have_known_errors() -> None:
    # independent normal codes: the best estimate is a noisy / (a^2 + s^2), its error s^2 / (a^2 + s^2)
    best = denoising_errors("best", lambda noisy, alpha, sigma: alpha * noisy / (alpha**2 + sigma**2), CODES, LEVELS)
    assert best["error"] == pytest.approx([s**2 / (a**2 + s**2) for a, s in LEVELS], rel=0.05)
    assert best["snr"] == pytest.approx([(a / s) ** 2 for a, s in LEVELS])
    mean = CODES.mean(0)
    blind = denoising_errors("mean", lambda noisy, alpha, sigma: mean.expand_as(noisy), CODES, LEVELS)
    assert blind["error"] == pytest.approx([1, 1, 1])


def test_all_estimates_see_the_same_noise() -> None:
    seen: list[list[torch.Tensor]] = []
    for batch in (8, 3):
        parts: list[torch.Tensor] = []
        denoising_errors("x", lambda noisy, a, s, parts=parts: parts.append(noisy) or noisy, CODES[:8], LEVELS, batch)
        seen.append(parts)
    assert torch.equal(torch.cat(seen[0]), torch.cat(seen[1]))
