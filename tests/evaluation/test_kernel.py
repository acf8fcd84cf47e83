"""Bootstrap over units and the kernel sums, against plain loops and torch-fidelity."""

import numpy as np
import pytest
import torch

from holofusion.evaluation.fidelity import kernel_distance
from holofusion.evaluation.kernel import (
    kernel_replicates,
    kernel_sums,
    redrawn_mean,
    repeated_image_distance,
)
from tests.mmd import unbiased_mmd2


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


def test_distance_equals_plain_loops_on_the_same_features() -> None:
    real, generated = features(40, 0), features(40, 1, 0.3)
    theirs = kernel_distance(torch.from_numpy(real), torch.from_numpy(generated), subset_size=40, subsets=1)

    def mean(first: np.ndarray, second: np.ndarray, skip: bool) -> float:
        values = [
            (x @ y / 12 + 1) ** 3 for i, x in enumerate(first) for j, y in enumerate(second) if not skip or i != j
        ]
        return sum(values) / len(values)

    expected = mean(real, real, True) + mean(generated, generated, True) - 2 * mean(real, generated, False)
    assert theirs == pytest.approx(expected, abs=1e-6)
    assert unbiased_mmd2(real, generated) == pytest.approx(expected, abs=1e-9)


def test_every_image_drawn_once_gives_the_distance_itself() -> None:
    real, generated = features(12, 0), features(9, 1, 0.3)
    objects, scenes = np.repeat(np.arange(4), 3), np.repeat(np.arange(3), 3)
    found = kernel_replicates(real, generated, objects, scenes, np.ones((1, 4)), np.ones((1, 3)))
    assert found == pytest.approx([unbiased_mmd2(real, generated)], rel=1e-12)


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
