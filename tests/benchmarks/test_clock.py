"""Time of parts, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.clock import Clock


class Time:
    """A clock's seconds that pass only when something takes its time: no load on the machine adds any."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The time that the benchmarks' clock reads."""
    passing = Time()
    monkeypatch.setattr("benchmarks.clock.time", passing)
    return passing


class Slow(torch.autograd.Function):
    """The identity, which takes its time in both directions."""

    @staticmethod
    def forward(context, value: Tensor, passing: Time, forward: float, backward: float) -> Tensor:
        context.passing, context.backward_seconds = passing, backward
        passing.pass_by(forward)
        return value.clone()

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        context.passing.pass_by(context.backward_seconds)
        return gradient, None, None, None


def test_parts_get_both_directions_and_the_rest_what_is_between(passing: Time) -> None:
    clock, weight = Clock(), torch.ones(3, requires_grad=True)
    first = clock.timed("first", lambda value: Slow.apply(value * weight, passing, 1.0, 50.0))
    second = clock.timed("second", lambda value: (Slow.apply(value * weight, passing, 300.0, 2.0), None))
    between = Slow.apply(first(torch.ones(3)), passing, 20.0, 4.0)
    second(between)[0].sum().backward()
    clock.enter("other")
    assert clock.seconds == {"first": 51.0, "second": 302.0, "other": 24.0}
    assert weight.grad.tolist() == [2.0] * 3


def test_a_part_without_gradients_passes_values_on() -> None:
    clock = Clock()
    data = clock.timed("data", lambda value, name: (value + 1, name))
    value, name = data(torch.zeros(2), "a")
    assert (value.tolist(), name) == ([1.0, 1.0], "a")
    assert set(clock.seconds) == {"other", "data"}
