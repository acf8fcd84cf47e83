"""Voxel grids as fields: a dense coarse grid for training and a sparse high-resolution one for distillation.

Grids are (batch, channel, z, y, x) over the cube [-extent, extent]^3; voxel i of n has its centre at (2 i + 1) / n - 1
times extent. Lookups are trilinear.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def voxel_centres(resolution: int, extent: float) -> Tensor:
    """World positions (resolution^3, 3) as x, y, z of all voxel centres, in the memory order of a (z, y, x) grid."""
    axis = ((2 * torch.arange(resolution) + 1) / resolution - 1) * extent
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], -1).reshape(-1, 3)


def sample_grid(grid: Tensor, points: Tensor, extent: float) -> Tensor:
    """Trilinear lookup of grid (B, C, n, n, n) at points (B, N, 3) -> (B, N, C); the rim's value continues outside."""
    found = F.grid_sample(grid, (points / extent)[:, None, None], padding_mode="border", align_corners=False)
    return found[:, :, 0, 0].transpose(1, 2)


class DenseField:
    """Features (B, C, n, n, n) decoded at any point by `decoder`; `occupancy` (m, m, m) bool skips empty space (B = 1)."""

    def __init__(self, grid: Tensor, decoder: nn.Module, extent: float, occupancy: Tensor | None = None) -> None:
        self.grid, self.decoder, self.extent, self.occupancy = grid, decoder, extent, occupancy
        if occupancy is not None:
            self.occupied = lambda points: lookup_nearest(self.occupancy, points, self.extent)

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(sample_grid(self.grid, points, self.extent))


class ColourField:
    """A grid (1, 4, n, n, n) of density before the softplus and colour before the sigmoid. density_scale: per world unit."""

    def __init__(self, grid: Tensor, extent: float, density_scale: float) -> None:
        self.grid, self.extent, self.scale = grid, extent, density_scale

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        raw = sample_grid(self.grid, points, self.extent)
        return self.scale * F.softplus(raw[..., 0]), torch.sigmoid(raw[..., 1:])


def lookup_nearest(volume: Tensor, points: Tensor, extent: float) -> Tensor:
    """Value of volume (n, n, n) in the voxel that holds each point (..., 3); points outside take the nearest voxel."""
    size = volume.shape[0]
    index = ((points / extent + 1) * (size / 2)).long().clamp_(0, size - 1)
    return volume[index[..., 2], index[..., 1], index[..., 0]]


def dilate(mask: Tensor, steps: int) -> Tensor:
    """Grow a bool volume (n, n, n) by `steps` voxels in every direction."""
    grown = mask[None, None].float()
    for _ in range(steps):
        grown = F.max_pool3d(grown, 3, stride=1, padding=1)
    return grown[0, 0] > 0


@torch.no_grad()
def occupancy_of(field: DenseField, resolution: int, threshold: float, grow: int = 1) -> Tensor:
    """Voxels (resolution^3, bool) whose density exceeds `threshold` (per world unit), grown by `grow` voxels."""
    centres = voxel_centres(resolution, field.extent).to(field.grid.device)
    density = torch.cat([field(part[None])[0][0] for part in centres.split(65536)])
    return dilate((density > threshold).reshape((resolution,) * 3), grow)


class SparseGrid(nn.Module):
    """A trainable feature per active voxel, one shared feature elsewhere.

    A dense grid at distillation resolution would spend nearly all memory and optimiser time on empty space.
    `index` (n, n, n) int64 holds each voxel's row in `values` (rows, C); row 0 is the empty feature.
    """

    def __init__(self, index: Tensor, values: Tensor, extent: float) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.values = nn.Parameter(values)
        self.extent = extent

    @classmethod
    @torch.no_grad()
    def from_dense(cls, grid: Tensor, active: Tensor, extent: float) -> SparseGrid:
        """Resample a coarse grid (1, C, n, n, n) at the active voxels of a finer (m, m, m) mask."""
        size = active.shape[0]
        rows = active.flatten().nonzero().squeeze(1)
        index = torch.zeros(size**3, dtype=torch.long, device=active.device)
        index[rows] = torch.arange(1, len(rows) + 1, device=active.device)
        centres = voxel_centres(size, extent).to(grid.device)[rows]
        values = sample_grid(grid, centres[None], extent)[0]
        corner = grid[:, :, 0, 0, 0]  # the cube's corner is empty space for any centred object
        return cls(index.reshape(active.shape), torch.cat([corner, values]), extent)

    def forward(self, points: Tensor) -> Tensor:
        """Trilinear lookup at points (1, N, 3) -> (1, N, C)."""
        size = self.index.shape[0]
        position = ((points[0] / self.extent + 1) * (size / 2) - 0.5).clamp(0, size - 1.001)
        low = position.long()
        fraction = position - low
        offsets = torch.tensor([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)], device=low.device)
        corner = low.flip(-1)[:, None] + offsets
        share = torch.where(offsets.bool(), fraction.flip(-1)[:, None], 1 - fraction.flip(-1)[:, None]).prod(-1)
        flat = (corner[..., 0] * size + corner[..., 1]) * size + corner[..., 2]
        rows = self.index.flatten()[flat]
        return F.embedding_bag(rows, self.values, mode="sum", per_sample_weights=share)[None]


class SparseField:
    """A sparse grid with its decoder; samples are evaluated only inside `occupancy` (m, m, m) bool."""

    def __init__(self, grid: SparseGrid, decoder: nn.Module, occupancy: Tensor) -> None:
        self.grid, self.decoder, self.occupancy = grid, decoder, occupancy

    def occupied(self, points: Tensor) -> Tensor:
        return lookup_nearest(self.occupancy, points, self.grid.extent)

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(self.grid(points))
