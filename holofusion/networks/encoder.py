"""Encode posed source views as one voxel grid: 2D encoder, unprojection, pooling over views, pooling head.

The order is HoloDiffusion's (Karnewar et al., CVPR 2023, released code): encoder, voxel-wise features, their mean and
standard deviation over views, small head. The published head is linear + tanh; a deeper one is used here because at small
scale the linear one carries no colour.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.rendering.grids import voxel_centres
from holofusion.rendering.sparse_matrix import weighted_rows

HIDDEN = 32  # width of the pooling head


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())


class ViewEncoder(nn.Module):
    """Images with mask (N, 4, S, S) -> features (N, width + 4, S/2, S/2): context and detail.

    The first layer reads 2 x 2 pixel blocks: a pixel is finer than a voxel, and full size would cost four times as much.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.at_full = nn.Sequential(_block(16, width), _block(width, width))
        self.at_half = nn.Sequential(_block(width, 2 * width, 2), _block(2 * width, 2 * width))
        self.at_quarter = nn.Sequential(_block(2 * width, 2 * width, 2), _block(2 * width, 2 * width))
        self.merge_half = _block(4 * width, width)
        self.merge_full = nn.Conv2d(2 * width, width, 3, 1, 1)
        self.channels = width + 4

    def forward(self, images: Tensor) -> Tensor:
        full = self.at_full(F.pixel_unshuffle(images, 2))
        half = self.at_half(full)
        quarter = F.interpolate(self.at_quarter(half), scale_factor=2)
        half = F.interpolate(self.merge_half(torch.cat([half, quarter], 1)), scale_factor=2)
        return torch.cat([self.merge_full(torch.cat([full, half], 1)), F.avg_pool2d(images, 2)], 1)


def unproject(cameras: Cameras, size: int, resolution: int, extent: float) -> tuple[Tensor, Tensor]:
    """Where every voxel centre is seen in the V views' images of side `size`: pixels and their bilinear shares.

    Returns pixels (V, resolution^3, 4), flat and row-major, and shares of the same shape, all 0 where the voxel lies
    behind the camera or outside the image. Voxels are in the memory order of a (z, y, x) grid.
    """
    centres = voxel_centres(resolution, extent).to(cameras.R.device, non_blocking=True)
    with torch.autocast(centres.device.type, enabled=False):  # bf16 would move voxels by a fraction of a pixel
        ndc, depth = cameras.project(centres)
    seen = (ndc.abs().amax(-1) <= 1) & (depth > 0)
    # NDC has +x left and +y up, pixels count right and down
    place = (((1 - ndc) * size - 1) / 2).clamp(-1, size)
    first = place.floor()
    x, y = (place - first).unbind(-1)
    column, row = first.int().unbind(-1)
    columns = torch.stack([column, column + 1, column, column + 1], -1)
    rows = torch.stack([row, row, row + 1, row + 1], -1)
    shares = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1)
    inside = seen[..., None] & (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    return rows.clamp(0, size - 1) * size + columns.clamp(0, size - 1), shares * inside


def pool_views(features: Tensor, pixels: Tensor, shares: Tensor, objects: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, over the pixels of all views, of what each voxel projects to.

    features (V, C, S, S) of all objects' views, object by object; pixels and shares as from `unproject`. A pixel counts by
    its share. Returns both as (objects * voxels, C); zero where no view sees the voxel.
    """
    views, channels, size = features.shape[:3]
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    first = size**2 * torch.arange(views, dtype=pixels.dtype, device=pixels.device)

    def by_voxel(part: Tensor) -> Tensor:
        """(V, voxels, 4) -> (objects * voxels, views of one object * 4)"""
        return part.unflatten(0, (objects, -1)).transpose(1, 2).flatten(2).flatten(0, 1)

    index, weight = by_voxel(pixels + first[:, None, None]), by_voxel(shares)
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
    mean, square = weighted_rows(torch.cat([table, table.square()], 1), index, weight).split(channels, 1)
    deviation = ((square - mean.square()).clamp_min(0) + 1e-6).sqrt() - 1e-3
    return mean, deviation


class VoxelEncoder(nn.Module):
    """Source views of several objects -> voxel grids (B, features, n, n, n)."""

    def __init__(self, width: int, features: int, resolution: int, extent: float) -> None:
        super().__init__()
        self.resolution, self.extent = resolution, extent
        self.views = ViewEncoder(width)
        self.features = features
        self.pooled = nn.Linear(2 * self.views.channels, HIDDEN + features)
        self.spread = nn.Conv3d(HIDDEN, HIDDEN, 3, 1, 1)
        self.head = nn.Linear(HIDDEN, features)

    def forward(self, images: Tensor, masks: Tensor, cameras: Cameras) -> Tensor:
        """images (B, V, 3, S, S) in [0, 1], masks (B, V, 1, S, S), cameras of all B * V views in that order."""
        features = self.views(torch.cat([images * 2 - 1, masks], 2).flatten(0, 1)).float()
        pixels, shares = unproject(cameras, features.shape[-1], self.resolution, self.extent)
        mean, deviation = pool_views(features, pixels, shares, len(images))
        # two products with the halves of one weight: a concatenation of both inputs would copy all voxels once more
        for_mean, for_deviation = self.pooled.weight.split(self.views.channels, 1)
        pooled = F.linear(mean, for_mean, self.pooled.bias) + F.linear(deviation, for_deviation)
        hidden, straight = pooled.split([HIDDEN, self.features], 1)
        # rows are voxels, so the grid they make has its channels last in memory, as the convolution likes it
        grid = F.silu(hidden).reshape(len(images), *[self.resolution] * 3, HIDDEN).movedim(-1, 1)
        rows = self.head(F.silu(self.spread(grid)).movedim(1, -1)).flatten(0, 3) + straight
        return rows.reshape(len(images), *[self.resolution] * 3, self.features).movedim(-1, 1)
