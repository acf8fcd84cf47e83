"""The discriminator of all adversarial methods: residual, progressive where asked, conditioned on the camera where asked."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.networks.style import EqualConv, EqualLinear, MappingNetwork, leaky

SMALLEST = 4


class DownBlock(nn.Module):
    """Two 3x3 convolutions and a pooled skip; halves the side. With `coordinates`, pixel positions join the input."""

    def __init__(self, inputs: int, outputs: int, coordinates: bool) -> None:
        super().__init__()
        extra = 2 if coordinates else 0
        self.coordinates = coordinates
        self.first, self.second = EqualConv(inputs + extra, inputs, 3), EqualConv(inputs, outputs, 3)
        self.skip = EqualConv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        placed = torch.cat([x, pixel_positions(x)], 1) if self.coordinates else x
        y = leaky(self.second(F.avg_pool2d(leaky(self.first(placed)), 2)))
        return (y + self.skip(F.avg_pool2d(x, 2))) / math.sqrt(2)


def pixel_positions(x: Tensor) -> Tensor:
    """Column and row of every pixel of x (B, C, S, S), from -1 to 1: (B, 2, S, S), CoordConv's extra channels."""
    axis = torch.linspace(-1, 1, x.shape[-1], device=x.device, dtype=x.dtype)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns, rows]).expand(len(x), -1, -1, -1)


class Discriminator(nn.Module):
    """Images (B, image_channels, s, s), s = `size` or a half, quarter, ... of it, down to 8 -> scores (B,).

    width: channels at `size`; each halving doubles them, up to 8 times. label_size: length of the label (camera) that
    the score is conditioned on by projection; 0: none. coordinates: CoordConv, as in pi-GAN.
    """

    def __init__(
        self, image_channels: int, size: int, width: int, label_size: int = 0, coordinates: bool = False
    ) -> None:
        super().__init__()
        self.size = size
        levels = int(math.log2(size // SMALLEST))
        channels = [width * min(8, 2**level) for level in range(levels + 1)]
        self.entries = nn.ModuleList(EqualConv(image_channels, count, 1) for count in channels[:-1])
        self.blocks = nn.ModuleList(DownBlock(a, b, coordinates) for a, b in zip(channels, channels[1:], strict=False))
        last = channels[-1]
        self.final = EqualConv(last + 1, last, 3)
        self.hidden = EqualLinear(last * SMALLEST**2, last)
        self.score = EqualLinear(last, last if label_size else 1)
        self.label = MappingNetwork(last, 2, label_size) if label_size else None

    def forward(self, images: Tensor, label: Tensor | None = None, fade: float = 1.0) -> Tensor:
        """fade: share of the finest block in what it passes on; below 1 while a new resolution fades in."""
        level = int(math.log2(self.size // images.shape[-1]))
        x = self.blocks[level](leaky(self.entries[level](images)))
        if fade < 1:
            coarser = leaky(self.entries[level + 1](F.avg_pool2d(images, 2)))
            x = coarser + fade * (x - coarser)
        for block in self.blocks[level + 1 :]:
            x = block(x)
        deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean().expand(len(x), 1, *x.shape[2:])
        x = leaky(self.final(torch.cat([x, deviation], 1)))
        x = self.score(leaky(self.hidden(x.flatten(1))))
        if self.label is None:
            return x[:, 0]
        asked = self.label(torch.ones_like(x), label)
        return (x * asked).sum(1) / math.sqrt(x.shape[1])
