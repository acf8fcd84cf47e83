"""Exact views of a coloured ball."""

from __future__ import annotations

import torch

from holofusion.cameras import Cameras, turntable

SIZE, VIEWS, RADIUS = 40, 16, 0.6


def ball_views() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Cameras]:
    """Pictures (n,3,S,S) of a coloured ball on white, opacity and distance (n,S,S), and cameras at two heights."""
    low, high = (turntable(VIEWS, elevation, 4.0, 3.0) for elevation in (5.0, 35.0))
    cameras = Cameras.cat([(low, high)[(index // 2) % 2][index] for index in range(VIEWS)])
    origins, directions = cameras.rays(SIZE)
    across = (origins * directions).sum(-1)
    inside = across**2 - origins.square().sum(-1) + RADIUS**2
    distance = -across - inside.clamp_min(0).sqrt()
    points = origins + distance[..., None] * directions
    colour = 0.5 + 0.35 * torch.sin(5 * points + torch.tensor([0.0, 1.0, 2.0]))
    hit = (inside > 0).float()
    pictures = (1 - hit[..., None] * (1 - colour)).transpose(1, 2).unflatten(2, (SIZE, SIZE))
    return pictures, hit.unflatten(1, (SIZE, SIZE)), (hit * distance).unflatten(1, (SIZE, SIZE)), cameras
