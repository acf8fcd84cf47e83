"""The decoder from a voxel feature to density and colour."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RenderMLP(nn.Module):
    """Voxel features (..., C) -> density (...,) per world unit and colour (..., 3) in [0, 1].

    Colour ignores the view direction, so a rendered scene is consistent between views by construction. HoloDiffusion's
    decoder is deeper and takes the direction; its released form is almost linear because of swapped activations.
    """

    def __init__(self, features: int, width: int, density_scale: float) -> None:
        super().__init__()
        self.density_scale = density_scale
        # made in the order of their use: first weights are drawn in the order of making
        first, second, last = nn.Linear(features, width), nn.Linear(width, width), nn.Linear(width, 4)
        self.layers = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)
        self.skip = nn.Linear(features, 4, bias=False)  # colour finds its way through the grid much sooner with it
        nn.init.constant_(last.bias[:1], -3.0)  # start nearly transparent

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        raw = (self.layers(features) + self.skip(features)).float()
        # on a CPU both are several times as slow where the numbers do not lie side by side
        return self.density_scale * F.softplus(raw[..., 0].contiguous()), torch.sigmoid(raw)[..., 1:]
