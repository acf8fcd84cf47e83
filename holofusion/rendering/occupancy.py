"""Occupancy grids: coarse grids of bits that shorten rays and let points in empty space be skipped."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.rendering.rays import Rays

SCAN = 32  # points of a ray that are looked at for occupied space


class Occupancy:
    """Which voxels of the cube [-extent, extent]^3 are not empty.

    grid: bool (n, n, n), axes z, y, x, or one per member of a batch (B, n, n, n). box: corners low (3,) and high (3,), as
    x, y, z, around all that is occupied. skips: whether points between occupied ones are skipped, too; if not, rays are
    shortened alone, and a field is asked at all points of what is left.
    """

    def __init__(self, grid: Tensor, extent: float, skips: bool = True) -> None:
        self.grid, self.extent, self.skips = grid, extent, skips
        self.box = box_of(grid, extent)

    def contains(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Whether the voxel that holds each place x, y, z (B, N) is occupied: bool (B, N)."""
        return lookup_nearest(self.grid, x, y, z, self.extent)

    def interval(self, rays: Rays) -> tuple[Tensor, Tensor]:
        """Distances (B, N) of the first and the last occupied point of rays; equal for rays that meet none.

        Looks at SCAN evenly spaced points in the box, and adds half a step at either end.
        """
        near, far = rays.box_interval(*self.box)
        step = (far - near) / SCAN
        at = near[..., None] + step[..., None] * (torch.arange(SCAN, device=near.device) + 0.5)
        hit = self.contains(*rays.coordinates_at(at)).reshape(at.shape)
        # maxima of one byte per point: CPUs reduce these several times as fast as they find first and last by argmax
        number = torch.arange(1, SCAN + 1, dtype=torch.uint8, device=near.device)
        last, first = (hit * number).amax(-1), SCAN + 1 - (hit * number.flip(0)).amax(-1)
        begin, end = near + step * (first - 1.5).clamp_min(0), near + step * (last + 0.5).clamp_max(SCAN)
        met = (last > 0) & (far > near)
        return torch.where(met, begin, near), torch.where(met, end, near)


def lookup_nearest(volume: Tensor, x: Tensor, y: Tensor, z: Tensor, extent: float) -> Tensor:
    """Value of volume (n, n, n), or one per batch member (B, n, n, n), in the voxel that holds each place x, y, z (B, N).

    Places outside take the nearest voxel.
    """
    size = volume.shape[-1]
    middle = x.new_full((), size / 2)

    def cell(place: Tensor) -> Tensor:
        return torch.add(middle, place, alpha=size / 2 / extent).clamp_(0, size - 1).int()

    # coordinates one by one: long rows are faster than triples
    index = cell(x).add_(cell(y).add_(cell(z), alpha=size), alpha=size)
    if volume.ndim == 4:
        index += size**3 * torch.arange(len(volume), dtype=torch.int32, device=index.device)[:, None]
    return volume.flatten().index_select(0, index.flatten()).reshape(index.shape)


def box_of(occupancy: Tensor, extent: float) -> tuple[Tensor, Tensor]:
    """Corners low (3,) and high (3,), x, y, z, of the box around the occupied voxels (n, n, n) or (B, n, n, n) of all members."""
    size = occupancy.shape[-1]
    anywhere = occupancy.reshape(-1, *occupancy.shape[-3:]).any(0)
    low, high = [], []
    for across in ((0, 1), (0, 2), (1, 2)):
        line = anywhere.any(across[1]).any(across[0]).nonzero()
        low.append(line.min() if len(line) else line.new_zeros(()))
        high.append(line.max() + 1 if len(line) else line.new_zeros(()))
    return extent * (2 * torch.stack(low) / size - 1), extent * (2 * torch.stack(high) / size - 1)


def dilate(mask: Tensor, steps: int) -> Tensor:
    """Grow bool volumes (B, n, n, n) or (n, n, n) by `steps` voxels in every direction."""
    grown = mask.reshape(-1, 1, *mask.shape[-3:]).float()
    for _ in range(steps):
        grown = F.max_pool3d(grown, 3, stride=1, padding=1)
    return (grown > 0).reshape(mask.shape)
