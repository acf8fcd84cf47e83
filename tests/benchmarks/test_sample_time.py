"""What is said of the kernel distances of both modes."""

import numpy as np
import pytest

sample_time = pytest.importorskip("benchmarks.sample_time")


def test_the_difference_has_an_interval_of_its_own_redraws():
    """What both modes owe to the choice of objects cancels; the four scenes make the interval wider than the quantiles."""
    shared, own = np.random.default_rng(0).normal(0, 100, 4000), np.random.default_rng(1).normal(0, 0.01, 4000)
    worth = {
        "fast": {"kernel_distance": 0.2, "kernel_distance_replicates": shared + own},
        "full": {"kernel_distance": 0.25, "kernel_distance_replicates": shared},
    }
    found = sample_time.difference(worth)
    assert found["value"] == pytest.approx(-0.05)
    student = 3.182 * np.sqrt(4 / 3) * 0.01  # t of three degrees of freedom, and 4 / 3 for the four scenes' variance
    assert [found["low"], found["high"]] == pytest.approx([-0.05 - student, -0.05 + student], rel=0.1)
    assert worth == {"fast": {"kernel_distance": 0.2}, "full": {"kernel_distance": 0.25}}
