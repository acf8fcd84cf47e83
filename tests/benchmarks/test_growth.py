"""Exponents of power laws, and the memory of a call."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.growth import exponent, peak_of


def test_the_exponent_of_a_power_law() -> None:
    sizes = [8, 16, 24, 48]
    assert exponent(sizes, [0.002 * size**3 for size in sizes]) == pytest.approx(3)
    assert exponent(sizes, [7.0] * 4) == pytest.approx(0, abs=1e-9)


def test_the_exponent_of_a_noisy_power_law() -> None:
    noise = np.random.default_rng(0).normal(1, 0.02, 4)
    sizes = [16, 32, 64, 128]
    assert exponent(sizes, noise * np.array(sizes) ** 2.0) == pytest.approx(2, abs=0.05)


def test_the_peak_of_a_call_is_what_it_takes_for_a_while() -> None:
    assert peak_of(lambda: torch.ones(25_000_000).sum()) == pytest.approx(100, rel=0.1)
    assert peak_of(lambda: None) < 10
