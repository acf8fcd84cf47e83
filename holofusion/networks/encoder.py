"""From posed source views to one voxel grid: 2D encoder, unprojection, pooling over views, pooling head.

HoloDiffusion's order (PAPER: encoder -> voxel-wise features -> mean and standard deviation over views -> small head).
The published head is linear + tanh; a deeper one is used here because at small scale the linear one carries no colour.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.rendering.grids import voxel_centres


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


def unproject(features: Tensor, cameras: Cameras, resolution: int, extent: float) -> tuple[Tensor, Tensor]:
    """Sample every view's features (V, C, S, S) at the projection of every voxel centre.

    Returns features (V, C, resolution^3) and a validity (V, 1, resolution^3): 1 where the voxel lies in front of the
    camera and inside the image. Voxels are in the memory order of a (z, y, x) grid.
    """
    centres = voxel_centres(resolution, extent).to(features.device)
    with torch.autocast(features.device.type, enabled=False):  # bf16 would move voxels by a fraction of a pixel
        ndc, depth = cameras.project(centres)
    # NDC has +x left and +y up, grid_sample +x right and +y down; both span the image with [-1, 1].
    found = F.grid_sample(features, -ndc[:, :, None], align_corners=False)[..., 0]
    valid = (ndc.abs().amax(-1) <= 1) & (depth > 0)
    return found, valid[:, None].to(features.dtype)


def pool_views(features: Tensor, valid: Tensor) -> Tensor:
    """Mean and standard deviation over valid views: (B, V, C, N), (B, V, 1, N) -> (B, 2 C, N); zero where no view sees."""
    weight = valid / valid.sum(1, keepdim=True).clamp_min(1)
    mean = (weight * features).sum(1)
    variance = (weight * (features - mean[:, None]) ** 2).sum(1)
    return torch.cat([mean, (variance + 1e-6).sqrt() - 1e-3], 1)


class VoxelEncoder(nn.Module):
    """Source views of several objects -> voxel grids (B, features, n, n, n)."""

    def __init__(self, width: int, features: int, resolution: int, extent: float) -> None:
        super().__init__()
        self.resolution, self.extent = resolution, extent
        self.views = ViewEncoder(width)
        pooled = 2 * self.views.channels
        self.head = nn.Sequential(
            nn.Conv3d(pooled, 32, 1), nn.SiLU(), nn.Conv3d(32, 32, 3, 1, 1), nn.SiLU(), nn.Conv3d(32, features, 1)
        )
        self.skip = nn.Conv3d(pooled, features, 1)

    def forward(self, images: Tensor, masks: Tensor, cameras: Cameras) -> Tensor:
        """images (B, V, 3, S, S) in [0, 1], masks (B, V, 1, S, S), cameras of all B * V views in that order."""
        batch, count = images.shape[:2]
        features = self.views(torch.cat([images * 2 - 1, masks], 2).flatten(0, 1))
        found, valid = unproject(features.float(), cameras, self.resolution, self.extent)
        pooled = pool_views(found.unflatten(0, (batch, count)), valid.unflatten(0, (batch, count)))
        grid = pooled.unflatten(-1, (self.resolution,) * 3)
        return self.head(grid) + self.skip(grid)
