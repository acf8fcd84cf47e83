"""The density at which a surface looks like the renders.

No one level suits all scenes: some are fog that is opaque by its depth, others are hard. Tried are levels at which light is
halved on the way through the cube, through one cell, and between. The surface at a level covers the pixels on whose rays
density exceeds it somewhere; the level whose silhouettes overlap best, by intersection over union, with the pixels that lose
half their light is taken.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from holofusion.meshing.mesh import Outlines
from holofusion.rendering.rays import Rays

LEVELS = 48


def level_by_outlines(density: np.ndarray, extent: float, outlines: Outlines) -> float:
    """The level whose silhouettes overlap best with the outlines of renders; density (n, n, n) of axes z, y, x."""
    return _best(density, extent, highest_on_rays(density, extent, outlines), outlines.opaque)


def level_by_axes(density: np.ndarray, extent: float) -> float:
    """The same where there are no renders: along the three axes, with the rays that lose half their light."""
    cell = 2 * extent / (len(density) - 1)
    opaque = np.stack([density.sum(axis) * cell > math.log(2) for axis in range(3)])
    return _best(density, extent, np.stack([density.max(axis) for axis in range(3)]), opaque)


def highest_on_rays(density: np.ndarray, extent: float, outlines: Outlines) -> np.ndarray:
    """The highest density (B, S, S) on the ray of each pixel of the outlines, at two points a cell."""
    cameras, size = outlines.cameras.to("cpu"), outlines.opaque.shape[1]
    rays = Rays.through(cameras, size)
    near, far = rays.cube_interval(extent)
    grid = torch.from_numpy(density).float()[None, None]
    highest = torch.zeros_like(near)
    for index in range(math.ceil(2 * math.sqrt(3) * len(density))):
        distance = near + (index + 0.5) * extent / (len(density) - 1)
        within = distance < far
        if not within.any():
            break
        points = (rays.origins + distance[..., None] * rays.directions)[within]
        found = F.grid_sample(grid, (points / extent)[None, None, None], align_corners=True).flatten()
        highest[within] = torch.maximum(highest[within], found)
    return highest.reshape(len(cameras), size, size).numpy()


def _best(density: np.ndarray, extent: float, highest: np.ndarray, opaque: np.ndarray) -> float:
    """The best level by rays' highest densities and by whether they are opaque; where none is, the highest density, which no
    surface encloses."""
    if not opaque.any():
        return float(density.max())
    cell = 2 * extent / (len(density) - 1)
    levels = np.geomspace(math.log(2) / (2 * extent), math.log(2) / cell, LEVELS)
    overlap = [(opaque & (highest > level)).sum() / (opaque | (highest > level)).sum() for level in levels]
    best = np.flatnonzero(np.equal(overlap, max(overlap)))
    return float(levels[best[len(best) // 2]])  # of equally good ones, that in the middle
