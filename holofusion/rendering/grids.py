"""Voxel grids as fields: a dense coarse grid for training and a sparse high-resolution one for distillation.

Grids are (batch, channel, z, y, x) over the cube [-extent, extent]^3; voxel i of n has its centre at (2 i + 1) / n - 1
times extent. Lookups are trilinear.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.rendering.sparse_matrix import weighted_rows


def voxel_centres(resolution: int, extent: float) -> Tensor:
    """World positions (resolution^3, 3) as x, y, z of all voxel centres, in the memory order of a (z, y, x) grid."""
    axis = ((2 * torch.arange(resolution) + 1) / resolution - 1) * extent
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], -1).reshape(-1, 3)


def sample_grid(grid: Tensor, points: Tensor, extent: float) -> Tensor:
    """Trilinear lookup of grid (B, C, n, n, n) at points (B, N, 3) -> (B, N, C); the rim's value continues outside."""
    found = F.grid_sample(grid, (points / extent)[:, None, None], padding_mode="border", align_corners=False)
    return found[:, :, 0, 0].transpose(1, 2)


def corners(points: Tensor, size: int, extent: float) -> tuple[Tensor, Tensor]:
    """The eight voxels around points (K, 3), as flat indices (K, 8) of a (z, y, x) grid of that size, and their shares."""
    place = points.T.mul(size / 2 / extent).add_(size / 2 - 0.5).clamp_(0, size - 1)
    first = place.clamp_max(size - 1.5).int()  # the last voxel's right neighbour would lie outside
    after = place.sub_(first)
    both = torch.stack([1 - after, after])  # shares of the near and of the far voxels, by axis
    along_x, along_y, along_z = both.permute(1, 2, 0)
    shares = along_z[:, :, None, None] * (along_y[:, :, None] * along_x[:, None])[:, None]
    steps = [size**2 * k + size * j + i for k in (0, 1) for j in (0, 1) for i in (0, 1)]
    corner = first[0] + size * first[1] + size**2 * first[2]
    return corner[:, None] + corner.new_tensor(steps), shares.flatten(1)


class DenseField:
    """Features (B, C, n, n, n) decoded at any point by `decoder`.

    occupancy: bool (m, m, m), or (B, m, m, m), says which space is not empty; None: that is not known.
    """

    def __init__(self, grid: Tensor, decoder: nn.Module, extent: float, occupancy: Tensor | None = None) -> None:
        self.grid, self.decoder, self.extent, self.occupancy = grid, decoder, extent, occupancy
        if occupancy is not None:
            self.occupied = lambda *places: lookup_nearest(self.occupancy, *places, self.extent)
            self.box = box_of(occupancy, extent)

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(sample_grid(self.grid, points, self.extent))

    def at(self, points: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Density (K,) and colour (K, 3) at points (K, 3), each in the grid of the batch that `which` (K,) names."""
        size = self.grid.shape[-1]
        index, shares = corners(points, size, self.extent)
        if len(self.grid) > 1:
            index += size**3 * which.int()[:, None]
        table = self.grid.permute(0, 2, 3, 4, 1).flatten(0, 3).contiguous()
        return self.decoder(weighted_rows(table, index, shares))


class PlainDecoder(nn.Module):
    """Reads features (..., 4) as density before the softplus and colour before the sigmoid. It has nothing to learn."""

    def __init__(self, density_scale: float) -> None:
        super().__init__()
        self.density_scale = density_scale

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Density (...,) per world unit and colour (..., 3) in [0, 1]."""
        return self.density_scale * F.softplus(features[..., 0]), torch.sigmoid(features[..., 1:])

    def encode(self, density: Tensor, colour: Tensor) -> Tensor:
        """Features (K, 4) of density (K,) and colour (K, 3) within (0, 1)."""
        scaled = (density / self.density_scale).clamp_min(1e-4)
        return torch.cat([(scaled + torch.log(-torch.expm1(-scaled)))[:, None], torch.logit(colour)], 1)


class ColourField:
    """A grid (1, 4, n, n, n) of density before the softplus and colour before the sigmoid. density_scale: per world unit."""

    def __init__(self, grid: Tensor, extent: float, density_scale: float) -> None:
        self.grid, self.extent, self.decoder = grid, extent, PlainDecoder(density_scale)

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder(sample_grid(self.grid, points, self.extent))


def lookup_nearest(volume: Tensor, x: Tensor, y: Tensor, z: Tensor, extent: float) -> Tensor:
    """Value of volume (n, n, n), or one per batch member (B, n, n, n), in the voxel that holds each place x, y, z (B, N).

    Places outside take the nearest voxel.
    """
    size = volume.shape[-1]
    middle, index = x.new_tensor(size / 2), None
    for place in (z, y, x):  # coordinates one by one: long rows are faster than triples
        cell = torch.add(middle, place, alpha=size / 2 / extent).clamp_(0, size - 1).int()
        index = cell if index is None else cell.add_(index, alpha=size)
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
    return tuple(extent * (2 * torch.stack(part) / size - 1) for part in (low, high))


def dilate(mask: Tensor, steps: int) -> Tensor:
    """Grow bool volumes (B, n, n, n) or (n, n, n) by `steps` voxels in every direction."""
    grown = mask.reshape(-1, 1, *mask.shape[-3:]).float()
    for _ in range(steps):
        grown = F.max_pool3d(grown, 3, stride=1, padding=1)
    return (grown > 0).reshape(mask.shape)


@torch.no_grad()
def occupancy_of(field: DenseField, resolution: int, threshold: float, grow: int = 1) -> Tensor:
    """Voxels (B, resolution^3, bool) whose density exceeds `threshold` (per world unit), grown by `grow` voxels.

    Where the field's own voxels and all around them are below a tenth of it, none in between is looked at.
    """
    batch, own = len(field.grid), field.grid.shape[-1]
    centres = voxel_centres(own, field.extent).to(field.grid.device)
    faint = field(centres.expand(batch, -1, -1))[0] < threshold / 10
    near = dilate(~faint.unflatten(1, (own,) * 3), 1).float()[:, None]
    near = F.interpolate(near, size=(resolution,) * 3)[:, 0].flatten() > 0
    voxels = near.nonzero().squeeze(1)
    which = torch.div(voxels, resolution**3, rounding_mode="trunc")
    centres = voxel_centres(resolution, field.extent).to(field.grid.device)[voxels - which * resolution**3]
    dense = torch.zeros_like(near)
    dense[voxels] = field.at(centres, which)[0] > threshold
    return dilate(dense.reshape(batch, *(resolution,) * 3), grow)


class SparseGrid(nn.Module):
    """A trainable feature per active voxel, one shared feature elsewhere.

    A dense grid at distillation resolution would spend nearly all memory and optimiser time on empty space.
    `index` (n, n, n) int32 holds each voxel's row in `values` (rows, C); row 0 is the empty feature.
    """

    def __init__(self, index: Tensor, values: Tensor, extent: float) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.values = nn.Parameter(values)
        self.extent = extent

    @classmethod
    @torch.no_grad()
    def of_rows(cls, active: Tensor, values: Tensor, empty: Tensor, extent: float) -> SparseGrid:
        """Features values (K, C) at the K active voxels of a (m, m, m) mask, in order, and `empty` (1, C) elsewhere."""
        index = torch.zeros(active.numel(), dtype=torch.int32, device=active.device)
        index[active.flatten()] = torch.arange(1, len(values) + 1, dtype=torch.int32, device=active.device)
        return cls(index.reshape(active.shape), torch.cat([empty, values]), extent)

    @classmethod
    @torch.no_grad()
    def from_dense(cls, grid: Tensor, active: Tensor, extent: float) -> SparseGrid:
        """Resample a coarse grid (1, C, n, n, n) at the active voxels of a finer (m, m, m) mask."""
        centres = voxel_centres(active.shape[0], extent).to(grid.device)[active.flatten()]
        corner = grid[:, :, 0, 0, 0]  # the cube's corner is empty space for any centred object
        return cls.of_rows(active, sample_grid(grid, centres[None], extent)[0], corner, extent)

    def forward(self, points: Tensor) -> Tensor:
        """Trilinear lookup at points (N, 3) -> (N, C)."""
        index, shares = corners(points, self.index.shape[0], self.extent)
        return weighted_rows(
            self.values, self.index.flatten().index_select(0, index.flatten()).reshape(index.shape), shares
        )


class SparseField:
    """A sparse grid with its decoder; samples are evaluated only inside `occupancy` (m, m, m) bool."""

    def __init__(self, grid: SparseGrid, decoder: nn.Module, occupancy: Tensor) -> None:
        self.grid, self.decoder, self.occupancy = grid, decoder, occupancy
        self.box = box_of(occupancy, grid.extent)

    def occupied(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return lookup_nearest(self.occupancy, x, y, z, self.grid.extent)

    def at(self, points: Tensor, which: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Density (K,) and colour (K, 3) at points (K, 3); there is one member, whatever `which` says."""
        return self.decoder(self.grid(points))
