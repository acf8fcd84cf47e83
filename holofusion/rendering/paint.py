"""Paint rasterised meshes with a texture field: colours asked at visible surface points only (GET3D, Gao et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.rendering.rasterise import Search, by_pytorch3d, rasterise
from holofusion.rendering.views import Views

Texture = Callable[[Tensor], Tensor]
"""Colours (B, N, 3) in [0, 1] of points (B, N, 3): member i of a batch is the texture of mesh i."""


def paint(
    texture: Texture,
    vertices: list[Tensor],
    faces: list[Tensor],
    cameras: Cameras,
    size: int,
    search: Search = by_pytorch3d,
) -> Views:
    """Views of mesh i from camera i; the texture is asked only at visible points (padded to the fullest image)."""
    surface = rasterise(vertices, faces, cameras, size, search)
    count = len(cameras)
    seen = surface.seen.reshape(count, -1)
    most = max(1, int(seen.sum(1).max()))
    order = seen.float().argsort(dim=1, descending=True, stable=True)[:, :most]
    points = surface.points.reshape(count, -1, 3).gather(1, order[..., None].expand(-1, -1, 3))
    colour = torch.ones(count, size * size, 3, device=seen.device)
    colour = colour.scatter(1, order[..., None].expand(-1, -1, 3), texture(points)).reshape(count, size, size, 3)
    rgb = 1 - surface.alpha[..., None] * (1 - colour)
    depth = torch.where(surface.seen, surface.depth, torch.zeros_like(surface.depth))
    return Views(rgb.permute(0, 3, 1, 2), surface.alpha[:, None], depth[:, None])


def averaged(views: Views, side: int) -> Views:
    """Views with side x side pixels averaged to one each; depth over those that show something."""
    rgb, alpha, depth = (F.avg_pool2d(part, side) for part in (views.rgb, views.alpha, views.depth))
    shown = F.avg_pool2d((views.depth > 0).to(depth.dtype), side)
    return Views(rgb, alpha, depth / shown.clamp_min(1 / side**2))
