"""Time of parts, forward and backward."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from benchmarks.clock import Clock


class Slow(torch.autograd.Function):
    """The identity, which takes its time in both directions."""

    @staticmethod
    def forward(context, value: Tensor, forward: float, backward: float) -> Tensor:
        context.backward_seconds = backward
        time.sleep(forward)
        return value.clone()

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None, None]:
        time.sleep(context.backward_seconds)
        return gradient, None, None


def test_parts_get_both_directions_and_the_rest_what_is_between() -> None:
    clock, weight = Clock(), torch.ones(3, requires_grad=True)
    first = clock.timed("first", lambda value: Slow.apply(value * weight, 0.01, 0.05))
    second = clock.timed("second", lambda value: (Slow.apply(value * weight, 0.03, 0.02), None))
    between = Slow.apply(first(torch.ones(3)), 0.02, 0.04)
    second(between)[0].sum().backward()
    clock.enter("other")
    assert clock.seconds["first"] == pytest.approx(0.06, abs=0.015)
    assert clock.seconds["second"] == pytest.approx(0.05, abs=0.015)
    assert clock.seconds["other"] == pytest.approx(0.06, abs=0.015)
    assert weight.grad.tolist() == [2.0] * 3


def test_a_part_without_gradients_passes_values_on() -> None:
    clock = Clock()
    data = clock.timed("data", lambda value, name: (value + 1, name))
    value, name = data(torch.zeros(2), "a")
    assert (value.tolist(), name) == ([1.0, 1.0], "a")
    assert set(clock.seconds) == {"other", "data"}
