"""Fit a plain grid to one object's photographs and masks: freely, then canonical, then tuned.

Free: coarse to fine, from a fog. Canonical: `reconstruction/canonical.py`; that blurs. Tuned: a few more steps on the same
photographs take the blur back, and keep inside and outside as they are, since no ray meets these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.config.codes import Reconstruction
from holofusion.reconstruction.canonical import BAND, STEEPNESS, canonical
from holofusion.reconstruction.photographs import Photographs
from holofusion.rendering.plain import PlainField, occupied
from holofusion.utils.random import generator_for

STAGES = ((4, 0.0), (2, 0.15), (1, 0.4))  # resolution divided by this, from this share of the free fit's steps on
FOG = -2.0  # density before the softplus at the start
LAST_RATE = 0.1  # of the learning rate, reached at the end
MOST_COLOUR = 4.0  # before the sigmoid


@dataclass(frozen=True)
class Fits:
    """Plain grids (4, n, n, n) of one object after each of the three parts."""

    free: Tensor
    canonical: Tensor
    tuned: Tensor


def reconstruct(photographs: Photographs, section: Reconstruction, name: str) -> Fits:
    """The grids of the object called `name`, which its random draws are named after."""
    free = _free_fit(photographs, section, name)
    start = canonical(free[0])[None]

    def rate(step: int) -> float:
        return section.tuned_rate * LAST_RATE ** (step / section.tuned_steps)

    draws = ("fit", name, "tune")
    tuned = _descend(start, photographs, section, range(section.tuned_steps), rate, occupied(start)[0], draws)
    tuned[:, :1].clamp_(-STEEPNESS * BAND, STEEPNESS * BAND)
    tuned[:, 1:].clamp_(-MOST_COLOUR, MOST_COLOUR)
    return Fits(free[0], start[0], tuned[0])


def _free_fit(photographs: Photographs, section: Reconstruction, name: str) -> Tensor:
    """Grid (1, 4, n, n, n); the last stage skips what the one before left empty, unless that is everything."""
    grid = torch.zeros(1, 4, *(section.resolution // STAGES[0][0],) * 3, device=photographs.colours.device)
    grid[:, 0] = FOG
    ends = [share for _, share in STAGES[1:]] + [1.0]
    for number, ((part, begin), end) in enumerate(zip(STAGES, ends, strict=True)):
        if number:
            size = (section.resolution // part,) * 3
            grid = F.interpolate(grid, size=size, mode="trilinear", align_corners=False)
        steps = range(round(begin * section.free_steps), round(end * section.free_steps))
        known = occupied(grid)[0] if part == 1 else None
        if known is not None and not known.any():
            known = None
        grid = _descend(
            grid, photographs, section, steps, lambda step: _free_rate(step, section), known, ("fit", name, "free")
        )
    return grid


def _free_rate(step: int, section: Reconstruction) -> float:
    """Constant until the last stage begins, then falling."""
    last = STAGES[-1][1]
    return section.free_rate * LAST_RATE ** max(0.0, (step / section.free_steps - last) / (1 - last))


def _descend(
    grid: Tensor,
    photographs: Photographs,
    section: Reconstruction,
    steps: range,
    rate: Callable[[int], float],
    known: Tensor | None,
    draws: tuple[object, ...],
) -> Tensor:
    """Grid (1, 4, n, n, n) after these steps of Adam, whose step sizes `rate` gives.

    known (n, n, n) bool: what is not empty; None: nothing is known, and twice as many points are taken on each ray.
    """
    grid = grid.clone().requires_grad_()
    optimiser = torch.optim.Adam([grid], betas=(0.9, 0.99), fused=True)
    samples = section.samples * (2 if known is None else 1)
    for step in steps:
        optimiser.param_groups[0]["lr"] = rate(step)
        field = PlainField(grid) if known is None else PlainField.skipping(grid, known)
        optimiser.zero_grad(set_to_none=True)
        photographs.error(field, section.rays, samples, generator_for(*draws, step)).backward()
        optimiser.step()
    return grid.detach()
