"""Render complete views of a field: every pixel of every camera, without randomness."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.rendering.field import Field
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays
from holofusion.utils.precision import autocast

RAYS_AT_ONCE = 8192


@dataclass(frozen=True)
class Views:
    """Rendered views: rgb (B, 3, S, S) in [0, 1] over white, alpha and depth (B, 1, S, S); depth in world units."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor


@torch.no_grad()
def render_field(field: Field, cameras: Cameras, size: int, samples: tuple[int, int], precision: str = "fp32") -> Views:
    """Render one field from every camera at side `size`; rgb (B, channels, S, S) has the field's channels.

    samples: evenly spaced points per ray, and further ones where these met density. precision: as in `autocast`.
    """
    pixels = torch.zeros(len(cameras), size * size, field.channels + 2, device=cameras.R.device)
    pixels[..., : field.channels] = 1.0
    for index in range(len(cameras)):
        rays = Rays.through(cameras[index], size)
        for part in torch.arange(size * size, device=rays.device).split(RAYS_AT_ONCE):
            with autocast(rays.device, precision):
                seen = render_rays(field, rays[part], *samples)
            pixels[index, part] = torch.cat([seen.rgb, seen.alpha[..., None], seen.depth[..., None]], -1)[0].float()
    pixels = pixels.transpose(1, 2).unflatten(2, (size, size))
    return Views(*pixels.split([field.channels, 1, 1], 1))
