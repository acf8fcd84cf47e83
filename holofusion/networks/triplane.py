"""Tri-planes: features of a point in space, from three axis-aligned images (EG3D, Chan et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sample_planes(planes: Tensor, points: Tensor, extent: float) -> Tensor:
    """Bilinear lookup of planes (B, 3, C, n, n) at points (B, N, 3) -> (B, 3, N, C), one row per plane.

    The planes are (x, y), (x, z) and (z, y), each as (column, row), and span [-extent, extent]; the value at the rim
    continues outside. EG3D averages the three rows, GET3D adds them.
    """
    x, y, z = (points / extent).unbind(-1)
    places = torch.stack([torch.stack(pair, -1) for pair in ((x, y), (x, z), (z, y))], 1)
    batch, _, channels = planes.shape[:3]
    features = F.grid_sample(
        planes.flatten(0, 1), places.flatten(0, 1)[:, :, None], padding_mode="border", align_corners=False
    )
    return features[..., 0].transpose(1, 2).reshape(batch, 3, -1, channels)
