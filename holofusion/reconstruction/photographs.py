"""Photographs of one object as rays, and the error of renders against them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.data.prepared import PreparedCategory
from holofusion.rendering.field import Field
from holofusion.rendering.plain import EXTENT
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays

ON_OBJECT = 0.75  # share of the rays that meet the object or its surroundings
SURROUNDINGS = 32  # the image side divided by this: pixels around the object's own
MASK_WEIGHT = 0.2  # of the error of opacity, beside that of colour


class Photographs:
    """All pixels of an object's photographs, drawn mostly around the object, where they teach something."""

    def __init__(self, images: Tensor, masks: Tensor, cameras: Cameras) -> None:
        """images (V, 3, S, S) and masks (V, 1, S, S) in [0, 1], seen by V cameras."""
        size = images.shape[-1]
        self.rays = Rays.through(cameras, size).shared_among(1)
        self.colours = images.permute(0, 2, 3, 1).reshape(-1, 3)
        self.opacity = masks.flatten()
        near, far = self.rays.cube_interval(EXTENT)
        crosses = (far > near)[0]
        reach = max(1, size // SURROUNDINGS)
        around = (F.max_pool2d(masks, 2 * reach + 1, 1, reach).flatten() > 0.5) & crosses
        anywhere = crosses.nonzero().squeeze(1)
        self.pools = (around.nonzero().squeeze(1) if around.any() else anywhere, anywhere)

    @classmethod
    def of(cls, data: PreparedCategory, name: str, device: torch.device | str = "cpu") -> Photographs:
        """All prepared photographs of the object `name`."""
        images, masks, cameras = data.batch(data.frames[name])
        return cls(images.to(device), masks.to(device), cameras.to(device))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Numbers (count,) of random rays."""
        counts = (round(ON_OBJECT * count), count - round(ON_OBJECT * count))
        return torch.cat(
            [
                pool[torch.randint(len(pool), (many,), generator=generator).to(pool.device, non_blocking=True)]
                for pool, many in zip(self.pools, counts, strict=True)
            ]
        )

    def error(self, field: Field, count: int, samples: int, generator: torch.Generator) -> Tensor:
        """Mean squared error, a scalar, of a field of one member on `count` random rays, `samples` points on each."""
        rows = self.draw(count, generator)
        rendered = render_rays(field, self.rays[rows], samples, 0, generator)
        colour = (rendered.rgb[0] - self.colours[rows]).square().mean()
        return colour + MASK_WEIGHT * (rendered.alpha[0] - self.opacity[rows]).square().mean()
