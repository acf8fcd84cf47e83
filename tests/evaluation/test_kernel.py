"""Bootstrap over units and the kernel sums, against plain loops and torch-fidelity."""

import numpy as np
import pytest
import torch

from holofusion.evaluation.fidelity import kernel_distance
from holofusion.evaluation.kernel import (
    interval,
    kernel_sums,
    redrawn_mean,
    repeated_image_distance,
    unbiased_mmd2,
)


def features(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, 12))


def test_kernel_sums_equal_a_plain_loop() -> None:
    first, second = features(7, 0), features(5, 1)
    groups, others = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([1, 0, 0, 1, 1])
    expected = np.zeros((3, 2))
    for i in range(7):
        for j in range(5):
            expected[groups[i], others[j]] += (first[i] @ second[j] / 12 + 1) ** 3
    np.testing.assert_allclose(kernel_sums(first, second, groups, others), expected)


def test_equals_torch_fidelity_on_the_whole_set() -> None:
    real, generated = features(40, 0), features(40, 1, 0.3)
    theirs = kernel_distance(torch.from_numpy(real), torch.from_numpy(generated), subset_size=40, subsets=1)
    assert unbiased_mmd2(real, generated) == pytest.approx(theirs, rel=1e-9)


def test_one_image_repeated_scores_as_many_copies_of_it_do() -> None:
    real = features(9, 0)
    each = [unbiased_mmd2(real, np.repeat(image[None], 3, 0)) for image in real]
    assert repeated_image_distance(real) == pytest.approx(float(np.median(each)), rel=1e-9)


def test_two_draws_of_one_object_are_not_compared() -> None:
    sums, pairs = np.random.default_rng(0).random((3, 3)), np.array([[2, 6, 4], [6, 6, 6], [4, 6, 2]])
    drawn = [0, 0, 2]  # object 0 twice, object 1 not at all
    total = count = 0.0
    for i, first in enumerate(drawn):
        for j, second in enumerate(drawn):
            if i == j or first != second:
                total, count = total + sums[first, second], count + pairs[first, second]
    assert redrawn_mean(sums, pairs, np.array([2.0, 0, 1])) == pytest.approx(total / count)


def test_interval_holds_the_value_and_narrows_with_more_units() -> None:
    widths = []
    for count in (6, 60):
        real, generated = features(4 * count, 0), features(4 * count, 1, 0.4)
        units = np.repeat(np.arange(count), 4)
        value = unbiased_mmd2(real, generated)
        low, high = interval(value, real, generated, units, units, 300, np.random.default_rng(0))
        assert low < value < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # Features of one object share most of their value; redrawing single images would cover far less often.
    covered = 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        real, generated = (
            (random.normal(size=(20, 1, 6)) + 0.3 * random.normal(size=(20, 5, 6))).reshape(100, 6) for _ in range(2)
        )
        units = np.repeat(np.arange(20), 5)
        one_image = [x.reshape(20, 5, 6)[:, 0] for x in (real, generated)]
        value = unbiased_mmd2(*one_image)  # images of different objects only: centred on the true distance, zero
        low, high = interval(value, real, generated, units, units, 200, random)
        covered += low <= 0 <= high
    assert covered >= 45


def test_no_interval_from_two_objects() -> None:
    units = np.repeat(np.arange(2), 5)
    args = (features(10, 0), features(10, 1), units, units)
    assert interval(0.1, *args, 50, np.random.default_rng(0)) == (None, None)
