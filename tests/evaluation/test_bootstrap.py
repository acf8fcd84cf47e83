"""Redraws and intervals: paired over methods, and covering the truth as often as they say."""

import math

import numpy as np
import pytest

from holofusion.evaluation.bootstrap import drawn_of, interval, redraw, replicates_of
from holofusion.evaluation.entries import entry
from holofusion.evaluation.frechet import frechet
from holofusion.evaluation.kernel import kernel_replicates
from holofusion.utils.files import UserError
from tests.mmd import unbiased_mmd2


def test_redraws_depend_on_name_and_number_alone() -> None:
    draws = redraw(7, 50, "scenes", 0)
    assert draws.shape == (50, 7) and (draws.sum(1) == 7).all() and draws.max() < 7
    assert (draws == redraw(7, 50, "scenes", 0)).all() and (draws[:20] == redraw(7, 20, "scenes", 0)).all()
    assert (draws != redraw(7, 50, "scenes", 1)).any()
    assert redraw(2, 50, "scenes", 0) is None


def test_units_without_a_number_leave_the_others_paired() -> None:
    draws = np.array([[2.0, 0, 1], [0, 3, 0], [1, 1, 1]])
    assert drawn_of(draws, [0, 2]).tolist() == [[2, 1], [1, 1], [1, 1]]  # the second row drew neither
    assert drawn_of(None, [0]) is None


def test_no_interval_without_redraws() -> None:
    assert replicates_of(lambda left, right: 0.0, None, redraw(5, 9)) is None
    assert interval(1.0, None, 2) == (None, None)
    assert entry("diversity", None, 1.0, None, 2)["replicates"] is None


def test_interval_of_few_units_is_widened() -> None:
    replicates = np.linspace(-1, 1, 2001) + 5
    low, high = interval(2.0, replicates, 10_000)
    assert (low, high) == (pytest.approx(1.05, abs=1e-3), pytest.approx(2.95, abs=1e-3))
    low, high = interval(2.0, replicates, 4)
    assert high - 2 == pytest.approx(0.95 * 3.1824 / 1.96 * math.sqrt(4 / 3), rel=1e-3)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="kd_x against train: not a finite number"):
        entry("kd_x", "train", math.nan, None, 3)


def two_sets(random: np.random.Generator, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images of 24 objects and of 16 scenes, four each; those of one unit share most of their value."""
    sets, units = [], []
    for count, mean in ((24, 0.0), (16, shift)):
        own = random.normal(mean, 1, (count, 1, 8)) + 0.4 * random.normal(size=(count, 4, 8))
        sets.append(own.reshape(-1, 8))
        units.append(np.repeat(np.arange(count), 4))
    return *sets, *units


@pytest.mark.parametrize(("shift", "most"), [(0.0, 1.0), (0.35, 0.99), (0.6, 0.99)])
def test_kernel_interval_covers_the_truth_as_often_as_it_says(shift: float, most: float) -> None:
    # The truth is what the estimate is on average, over ever new objects and scenes. Between two sets alike the estimate
    # has no linear part, which redrawing overstates: there the interval is too wide, never too narrow.
    truth = np.mean([unbiased_mmd2(*two_sets(np.random.default_rng(5000 + i), shift)[:2]) for i in range(1000)])
    covered, repeats = 0, 200
    for trial in range(repeats):
        real, generated, objects, scenes = two_sets(np.random.default_rng(trial), shift)
        draws = redraw(24, 200, "objects", trial), redraw(16, 200, "scenes", trial)
        replicates = kernel_replicates(real, generated, objects, scenes, *draws)
        low, high = interval(unbiased_mmd2(real, generated), replicates, 16)
        covered += low <= truth <= high
    assert 0.90 <= covered / repeats <= most


def test_interval_of_a_difference_is_narrower_when_paired() -> None:
    real, first, objects, scenes = two_sets(np.random.default_rng(0), 0.3)
    second = first + 0.05  # another treatment of the same scenes
    draws = redraw(24, 200, "objects"), redraw(16, 200, "scenes", 0)
    one, two = (kernel_replicates(real, part, objects, scenes, *draws) for part in (first, second))
    other = kernel_replicates(real, second, objects, scenes, draws[0], redraw(16, 200, "scenes", 1))
    assert (one - two).std() < 0.5 * (one - other).std()


def test_frechet_of_weights_is_that_of_repeated_rows() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(30, 9)), random.normal(0.4, 1.2, size=(6, 9))
    counts, others = random.integers(0, 4, 30).astype(float), np.array([2.0, 0, 1, 1, 1, 3])
    repeated = [np.repeat(part, number.astype(int), 0) for part, number in ((first, counts), (second, others))]
    means, covariances = zip(*((part.mean(0), np.cov(part.T)) for part in repeated), strict=True)
    shared = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)).sum()
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared
    assert frechet(first, second, counts, others) == pytest.approx(expected, rel=1e-6)
