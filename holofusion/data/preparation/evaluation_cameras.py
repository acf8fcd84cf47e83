"""Draw the frozen evaluation cameras, and a turntable, from the cameras of the training photographs."""

from __future__ import annotations

import numpy as np
import torch

from holofusion.cameras import Cameras, Orbit
from holofusion.utils.random import numpy_generator_for


def draw_cameras(pool: Cameras, count: int, seed: int) -> Cameras:
    """`count` cameras of the pool by seed; none is drawn twice before all were drawn once."""
    random = numpy_generator_for(seed, "evaluation cameras")
    rounds = [random.permutation(len(pool)) for _ in range(-(-count // len(pool)))]
    return pool[torch.from_numpy(np.concatenate(rounds)[:count])]


def typical_orbit(pool: Cameras) -> Orbit:
    """A turn around +y at the pool's median distance, elevation and apparent size."""
    centers = pool.centers()
    distances = centers.norm(dim=1)
    elevation = torch.rad2deg(torch.asin((centers[:, 1] / distances).clamp(-1, 1))).median()
    distance = float(distances.median())
    focal = float((pool.focal.mean(1) / distances).median()) * distance
    return Orbit(distance, float(elevation), focal)
