"""One U-Net for both denoisers: over voxel grids (3D) and over images (2D).

Both see their signal folded: 2 x 2 (x 2) neighbours become channels of one position. A layer of equal width then costs a
quarter (an eighth) of what it would at full size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.networks.group_norm import group_norm
from holofusion.utils.precision import resolve_precision

Convolution = type[nn.Conv2d] | type[nn.Conv3d]
WIDE = 256  # channels from which convolutions in fp32 are faster on CPUs with channels first (docs/performance.md)


def time_features(time: Tensor, width: int) -> Tensor:
    """Sines and cosines of time (B,), in [0, 1], at `width` / 2 frequencies from 1 to 1000 -> (B, width)."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), width // 2, device=time.device))
    angles = time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def fold(x: Tensor) -> Tensor:
    """(B, C, n, n[, n]) -> (B, C * 4 [8], n/2, n/2[, n/2]): blocks of neighbours become channels. n must be even."""
    for axis in range(2, x.ndim):
        x = x.unflatten(axis, (-1, 2)).movedim(axis + 1, 2).flatten(1, 2)
    return x


def unfold(x: Tensor) -> Tensor:
    """The inverse of `fold`."""
    for axis in reversed(range(2, x.ndim)):
        x = x.unflatten(1, (-1, 2)).movedim(2, axis + 1).flatten(axis, axis + 1)
    return x


def layout_of(dimensions: int, channels: Sequence[int], precision: str) -> torch.memory_format:
    """How a U-Net's tensors lie in memory: with channels last, but for wide ones in fp32 on a CPU.

    A rule, and no measurement at the start: the same settings then give the same bits whatever else the machine is doing.
    """
    on_cpu = not torch.cuda.is_available() and resolve_precision(torch.device("cpu"), precision) == "fp32"
    if on_cpu and max(channels) >= WIDE:
        return torch.contiguous_format
    return torch.channels_last if dimensions == 2 else torch.channels_last_3d


def _set_to_zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class GroupNorm(nn.Module):
    """Group norm with a weight and a bias per channel, in eight groups."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return group_norm(x, 8, self.weight[None], self.bias[None])


class ResidualBlock(nn.Module):
    """Two convolutions with group norm; the time embedding scales and shifts the second norm."""

    def __init__(self, conv: Convolution, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm_in = GroupNorm(inputs)
        self.conv_in = conv(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.conv_out = conv(outputs, outputs, 3, padding=1)
        _set_to_zero(self.conv_out)
        self.skip = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        hidden = self.conv_in(F.silu(self.norm_in(x)))
        scale, shift = self.modulation(embedding).float().chunk(2, 1)
        hidden = self.conv_out(F.silu(group_norm(hidden, 8, 1 + scale, shift)))
        return self.skip(x) + hidden


class Attention(nn.Module):
    """Self-attention over all positions, residual; heads of 32 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // 32)
        self.norm = GroupNorm(channels)
        self.project_in = nn.Linear(channels, 3 * channels)
        self.project_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.project_out.weight)
        nn.init.zeros_(self.project_out.bias)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        split = self.project_in(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*split.unbind(0)).transpose(1, 2).flatten(2)
        return x + self.project_out(mixed).transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """Residual U-Net.

    dimensions 2 or 3; channels per level, each level at half the size of the one before. With a `size`, signals all have
    that side and show the same place: then each position has a learned feature of its own, and the coarsest level has
    attention. Without, any size will do. precision: that it will run in, which decides how its tensors lie in memory.
    """

    def __init__(
        self,
        dimensions: int,
        inputs: int,
        outputs: int,
        channels: Sequence[int],
        blocks: int,
        size: int | None = None,
        precision: str = "auto",
    ) -> None:
        super().__init__()
        conv: Convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[dimensions]
        embedding = 4 * channels[0]
        self.time_width = channels[0]
        self.time = nn.Sequential(
            nn.Linear(channels[0], embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        self.input = conv(inputs, channels[0], 3, padding=1)
        self.position = nn.Parameter(torch.zeros(1, channels[0], *[size] * dimensions)) if size else None
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, current = [channels[0]], channels[0]
        for level, width in enumerate(channels):
            stage = nn.ModuleList()
            for _ in range(blocks):
                stage.append(ResidualBlock(conv, current, width, embedding))
                current = width
                skips.append(width)
            self.down.append(stage)
            if level < len(channels) - 1:
                skips.append(width)
        self.middle = nn.ModuleList(
            [ResidualBlock(conv, current, current, embedding), ResidualBlock(conv, current, current, embedding)]
        )
        self.attention = Attention(current) if size else nn.Identity()
        for width in reversed(channels):
            stage = nn.ModuleList()
            for _ in range(blocks + 1):
                stage.append(ResidualBlock(conv, current + skips.pop(), width, embedding))
                current = width
            self.up.append(stage)
        self.norm = GroupNorm(current)
        self.output = conv(current, outputs, 3, padding=1)
        _set_to_zero(self.output)
        self.layout = layout_of(dimensions, channels, precision)
        self.to(memory_format=self.layout)  # type: ignore[call-overload]  # missing in torch's stubs

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, inputs, ...), time (B,) in [0, 1] -> (B, outputs, ...) of x's size, which 2^(levels - 1) must divide."""
        embedding = self.time(time_features(time, self.time_width))
        x = self.input(x.contiguous(memory_format=self.layout))
        if self.position is not None:
            x = x + self.position
        skips = [x]
        for level, stage in enumerate(self.down):
            if level:
                x = self.pool(x, 2)
                skips.append(x)
            for block in stage.children():
                x = block(x, embedding)
                skips.append(x)
        x = self.middle[1](self.attention(self.middle[0](x, embedding)), embedding)
        for level, stage in enumerate(self.up):
            if level:
                x = F.interpolate(x, scale_factor=2)
            for block in stage.children():
                x = block(torch.cat([x, skips.pop()], 1), embedding)
        return self.output(F.silu(self.norm(x)))
