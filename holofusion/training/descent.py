"""Adam on one scene: the loop of every optimisation that makes a scene at sampling time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def descend(
    optimiser: torch.optim.Optimizer, steps: int, loss_at: Callable[[int], Tensor], first: int = 0
) -> Iterator[int]:
    """Minimise loss_at(step) for steps `first` to `steps` - 1; yield the number of finished steps after each.

    Step sizes are the optimiser's for the first half of the steps, then fall linearly to zero.
    """
    rates = [group["lr"] for group in optimiser.param_groups]
    for step in range(first, steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, 2.0 * (1 - step / steps))
        loss = loss_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        yield step + 1
