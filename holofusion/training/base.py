"""The interface that the training loop asks of what it trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holofusion.data.batches import ViewBatch


class Trainable(nn.Module):
    """A module with one loss that is minimised step by step.

    A base class, since Python has no type for "a module that also follows this protocol".
    steps: of the whole training. ema: decay of the running average of the weights, per step. checkpoint_every: steps between
    saved states. objects_per_batch, views_per_object: what a batch holds. gradient_limit: norm to which gradients are
    clipped.
    """

    steps: int
    ema: float
    checkpoint_every: int
    objects_per_batch: int
    views_per_object: int
    gradient_limit: float = 1.0

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Adam's parameter groups, with their step sizes `lr`."""
        raise NotImplementedError

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses by name, scalars; the one called "loss" is minimised. All randomness comes from the generator."""
        raise NotImplementedError
