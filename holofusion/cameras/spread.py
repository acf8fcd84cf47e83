"""Choose cameras all round an object."""

from __future__ import annotations

import torch

from holofusion.cameras.perspective import Cameras


def spread_cameras(pool: Cameras, count: int, generator: torch.Generator) -> Cameras:
    """`count` cameras spread evenly in azimuth: draw 8 x count at random, sort by azimuth, take evenly spaced ones."""
    drawn = pool[torch.randperm(len(pool), generator=generator)[: 8 * count]]
    centres = drawn.centers()
    order = torch.argsort(torch.atan2(centres[:, 0], centres[:, 2]))
    return drawn[order[torch.linspace(0, len(order) - 1, 2 * count + 1).round().long()[1::2]]]
