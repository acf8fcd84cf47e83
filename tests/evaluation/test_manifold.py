"""Fidelity, variety and memory in feature space, against values worked out by hand and torch-fidelity."""

import numpy as np
import pytest

from holofusion.evaluation import manifold
from holofusion.evaluation.sharpness import sharpness


def test_shares_by_hand() -> None:
    real = np.array([[0.0], [1], [2], [3], [4], [10], [11], [12], [13], [14]])
    generated = np.array([[2.4], [2.5], [7.4], [40.0]])
    parts, every = manifold.shares(real, generated), (np.ones(10), np.ones(4))
    # distance of the third-nearest other real image: 3 2 2 2 3 in both groups; of the fifth: 10 9 8 7 6, 6 7 8 9 10
    assert [parts["precision"](every[0], one) for one in np.eye(4)] == [1, 1, 1, 0]
    assert [parts["density"](every[0], one) for one in np.eye(4)] == pytest.approx([1, 1, 2, 0])
    assert parts["precision"](*every) == 0.75 and parts["density"](*every) == pytest.approx(1)
    assert parts["coverage"](*every) == parts["recall"](*every) == 1
    # without 7.4 nothing is near the upper group; its first image's fifth neighbour is 6 away, and 2.5 is 7.5 away
    assert parts["coverage"](every[0], np.array([1.0, 1, 0, 0])) == 0.5
    # with the lower group alone, drawn twice, only the images near it are right
    assert parts["precision"](np.repeat([2.0, 0], 5), every[1]) == 0.5


def test_means_are_torch_fidelitys() -> None:
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(60, 5)), random.normal(0.8, 0.7, (50, 5))
    parts = manifold.shares(real, generated)
    found = manifold.precision_recall(real, generated)
    every = np.ones(60), np.ones(50)
    assert found == pytest.approx((parts["precision"](*every), parts["recall"](*every)))
    assert found[0] > found[1] > 0  # narrower than the real ones


def test_diversity_leaves_out_images_of_one_unit() -> None:
    features, units = np.array([[0.0], [0], [3], [7]]), np.array([0, 0, 1, 2])
    among = manifold.diversity(features, units)
    assert among(np.ones(3)) == pytest.approx((3 + 3 + 7 + 7 + 4) / 5)
    assert among(np.array([1.0, 2, 0])) == pytest.approx(3)


def test_a_copycat_is_told_from_an_honest_generator() -> None:
    random = np.random.default_rng(1)
    objects = random.normal(size=(80, 16))
    views = objects[:, None] + 0.15 * random.normal(size=(80, 6, 16))
    training, held_out = views[:60, :4].reshape(-1, 16), views[60:70].reshape(-1, 16)
    limit = manifold.near_limit(training, held_out)
    shares = {}
    for name, generated in (("honest", views[70:].reshape(-1, 16)), ("copycat", views[:60, 4:].reshape(-1, 16))):
        shares[name] = (manifold.nearest(training, generated)[1] < limit).mean()
    assert shares["honest"] < 0.2 and shares["copycat"] > 0.95
    number, distance = manifold.nearest(training, training[5:7])
    assert number.tolist() == [5, 6] and distance == pytest.approx([0, 0], abs=1e-6)


def test_sharpness_is_of_the_inside_alone() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    flat, ramp, board = white.copy(), white.copy(), white.copy()
    flat[10:30, 10:30] = 90
    ramp[10:30, 10:30] = (np.arange(20) * 10)[None, :, None]
    board[10:30, 10:30] = np.where(np.indices((20, 20)).sum(0) % 2, 50, 100)[..., None]
    found = sharpness(np.stack([white, flat, ramp, board]))
    assert found == pytest.approx([0, 0, 0, 4 * 50 / 255], abs=1e-9)  # a cell's four neighbours are all the other grey
