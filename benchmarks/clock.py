"""Whose time it is: forward and backward of the parts of a training step, told apart in one run of the whole step.

Autograd goes backward in the reverse order of the forward pass. So marks on what enters and leaves a part, which the
gradient passes on its way back, say when the backward pass of that part begins and ends. Nothing is measured on its own:
the parts and the rest add up to the step.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

REST = "other"


class Clock:
    """Seconds by part; all time is of the part that was entered last."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.part, self.since = REST, time.perf_counter()

    def enter(self, part: str) -> str:
        """From now on it is this part's time. Returns the one whose it was."""
        now, before = time.perf_counter(), self.part
        self.seconds[before] += now - self.since
        self.part, self.since = part, now
        return before

    def timed(self, part: str, function: Callable) -> Callable:
        """The function, with its time, and that of its backward pass, counted as the part's.

        Gradients have to come in and go out through its positional arguments and what it returns: a tensor or a tuple.
        """

        def wrapper(*arguments: Any) -> Any:
            before = self.enter(part)
            result = function(*[self._marked(value, before) for value in arguments])
            if isinstance(result, tuple):
                result = tuple(self._marked(value, part) for value in result)
            else:
                result = self._marked(result, part)
            self.enter(before)
            return result

        return wrapper

    def _marked(self, value: Any, part: str) -> Any:
        carries = isinstance(value, Tensor) and value.requires_grad
        return _Mark.apply(value, self, part) if carries else value


class _Mark(torch.autograd.Function):
    """The identity, which tells the clock when the gradient passes."""

    @staticmethod
    def forward(context: Any, value: Tensor, clock: Clock, part: str) -> Tensor:
        context.clock, context.part = clock, part
        return value.view_as(value)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        context.clock.enter(context.part)
        return gradient, None, None
