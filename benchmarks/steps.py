"""A training step as the loop takes it, in pieces that can be measured."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.context import DEVICE
from holofusion.data.batches import ViewBatch, draw_batch
from holofusion.data.prepared import PreparedCategory
from holofusion.training.checkpoint import Average


def optimiser_of(method: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that the training loop makes for a method."""
    return torch.optim.Adam(method.parameter_groups(), betas=(0.9, 0.99))


def drawn(method: nn.Module, data: PreparedCategory, seed: int) -> ViewBatch:
    """A batch of the size that the method trains on."""
    generator = torch.Generator().manual_seed(seed)
    return draw_batch(data, method.objects_per_batch, method.views_per_object, generator, DEVICE)


def updater(method: nn.Module) -> Callable[[], None]:
    """A function that does, with the gradients there are, what ends a step: clipping, optimiser, averaging."""
    optimiser, average = optimiser_of(method), Average(method, method.ema)

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimiser.step()
        average.update(method, 1000)
        optimiser.zero_grad(set_to_none=True)

    return update


def step_on(method: nn.Module, batch: ViewBatch) -> Callable[[], None]:
    """A function that trains the method on this batch, once a call."""
    update = updater(method)

    def step() -> None:
        method.training_step(batch, 0, torch.Generator().manual_seed(0))["loss"].backward()
        update()

    return step
