"""Dense voxel grids as fields.

Grids are (batch, channel, z, y, x) over the cube [-extent, extent]^3; voxel i of n has its centre at (2 i + 1) / n - 1
times extent. Lookups are trilinear.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.rendering.occupancy import Occupancy, dilate
from holofusion.rendering.sparse_matrix import weighted_rows


def voxel_centres(resolution: int, extent: float) -> Tensor:
    """World positions (resolution^3, 3) as x, y, z of all voxel centres, in the memory order of a (z, y, x) grid."""
    axis = ((2 * torch.arange(resolution) + 1) / resolution - 1) * extent
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], -1).reshape(-1, 3)


def sample_grid(grid: Tensor, points: Tensor, extent: float) -> Tensor:
    """Trilinear lookup of grid (B, C, n, n, n) at points (B, N, 3) -> (B, N, C); the rim's value continues outside."""
    values = F.grid_sample(grid, (points / extent)[:, None, None], padding_mode="border", align_corners=False)
    return values[:, :, 0, 0].transpose(1, 2)


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
    """A `Field`: features (B, C, n, n, n) decoded at any point by `decoder`. channels: those of the decoder's colour."""

    sees_directions = False
    channels = 3

    def __init__(self, grid: Tensor, decoder: nn.Module, extent: float, occupancy: Occupancy | None = None) -> None:
        self.grid, self.decoder, self.extent, self.occupancy = grid, decoder, extent, occupancy

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As in `Field`."""
        batch, size = len(self.grid), self.grid.shape[-1]
        if member is None:
            density, colour = self.decoder(sample_grid(self.grid, points.unflatten(0, (batch, -1)), self.extent))
            return density.flatten(0, 1), colour.flatten(0, 1)
        index, shares = corners(points, size, self.extent)
        if batch > 1:
            index += size**3 * member.int()[:, None]
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


@torch.no_grad()
def occupancy_of(field: DenseField, resolution: int, threshold: float, grow: int = 1) -> Tensor:
    """Voxels (B, resolution^3, bool) whose density exceeds `threshold` (per world unit), grown by `grow` voxels.

    Where the field's own voxels and all around them are below a tenth of it, none in between is looked at.
    """
    batch, own = len(field.grid), field.grid.shape[-1]
    centres = voxel_centres(own, field.extent).to(field.grid.device, non_blocking=True)
    faint = field.query(centres.repeat(batch, 1))[0].unflatten(0, (batch, -1)) < threshold / 10
    near = dilate(~faint.unflatten(1, (own,) * 3), 1).float()[:, None]
    near = F.interpolate(near, size=(resolution,) * 3)[:, 0].flatten() > 0
    voxels = near.nonzero().squeeze(1)
    member = torch.div(voxels, resolution**3, rounding_mode="trunc")
    centres = voxel_centres(resolution, field.extent).to(field.grid.device, non_blocking=True)[
        voxels - member * resolution**3
    ]
    dense = torch.zeros_like(near)
    dense[voxels] = field.query(centres, None, member)[0] > threshold
    return dilate(dense.reshape(batch, *(resolution,) * 3), grow)
