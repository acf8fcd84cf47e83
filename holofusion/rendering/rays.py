"""Rays, and where they cross boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from holofusion.cameras import Cameras


@dataclass(frozen=True)
class Rays:
    """N rays for each of B members: origins and unit directions (B, N, 3), world units."""

    origins: Tensor
    directions: Tensor

    @classmethod
    def through(cls, cameras: Cameras, size: int, pixels: Tensor | None = None) -> Rays:
        """Rays through the pixels of B cameras' images of side `size`: all in order, or those of flat indices (B, N)."""
        with torch.autocast(cameras.R.device.type, enabled=False):  # bf16 would turn rays by a pixel
            return cls(*cameras.rays(size, pixels))

    @property
    def device(self) -> torch.device:
        return self.origins.device

    @property
    def shape(self) -> tuple[int, int]:
        """B and N."""
        return self.origins.shape[0], self.origins.shape[1]

    def __getitem__(self, which: Tensor | slice) -> Rays:
        """A part of every member's rays: indices (n,), a mask (N,) or a slice."""
        return Rays(self.origins[:, which], self.directions[:, which])

    def shared_among(self, members: int) -> Rays:
        """The same rays in order, as equally many of each of `members`."""
        return Rays(self.origins.reshape(members, -1, 3), self.directions.reshape(members, -1, 3))

    def at(self, depths: Tensor) -> Tensor:
        """Points (B, N, n, 3) at depths (B, N, n)."""
        return self.origins[:, :, None] + depths[..., None] * self.directions[:, :, None]

    def coordinates_at(self, depths: Tensor) -> list[Tensor]:
        """x, y and z of the same points, each (B, N n): long rows are faster than triples where most are thrown away."""
        return [
            torch.addcmul(origin[..., None], depths, direction[..., None]).flatten(1)
            for origin, direction in zip(self.origins.unbind(-1), self.directions.unbind(-1), strict=True)
        ]

    def box_interval(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (B, N) at which rays enter and leave the box from low (3,) to high (3,); equal if they miss it."""
        directions = self.directions
        inverse = 1 / torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
        first, second = (low - self.origins) * inverse, (high - self.origins) * inverse
        near = torch.minimum(first, second).amax(-1).clamp_min(0.0)
        far = torch.maximum(first, second).amin(-1)
        return near, torch.maximum(near, far)

    def cube_interval(self, extent: float) -> tuple[Tensor, Tensor]:
        """The same for the cube [-extent, extent]^3."""
        far = self.origins.new_full((3,), extent)
        return self.box_interval(-far, far)
