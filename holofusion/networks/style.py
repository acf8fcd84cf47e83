"""Layers of StyleGAN2 (Karras et al. 2020), which EG3D and GET3D build on: equalised, modulated, and a mapping network.

Resampling is bilinear where the original filters with a small FIR kernel; everything else is as published.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class EqualLinear(nn.Module):
    """A linear layer with equalised learning rate: unit-variance weights, scaled by 1 / sqrt(inputs) when used.

    rate: factor on the learning rate (mapping networks use 0.01). bias: initial value.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A 2D convolution with equalised learning rate, `kernel` odd, same-size output."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = 1 / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled to keep the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class MappingNetwork(nn.Module):
    """Latent z (B, latent), and a label (B, label_size) if there is one -> style w (B, latent)."""

    def __init__(self, latent: int, layers: int, label_size: int = 0) -> None:
        super().__init__()
        self.embed = EqualLinear(label_size, latent) if label_size else None
        widths = [latent * (2 if label_size else 1)] + [latent] * layers
        self.layers = nn.ModuleList(EqualLinear(a, b, rate=0.01) for a, b in zip(widths, widths[1:], strict=False))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        w = _normalised(z)
        if self.embed is not None:
            w = torch.cat([w, _normalised(self.embed(label))], 1)
        for layer in self.layers:
            w = leaky(layer(w))
        return w


def _normalised(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style w (B, latent), and its outputs to unit norm (demodulation).

    Scaling activations instead of weights gives the same result without a copy of the weights per sample.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, latent: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = EqualLinear(latent, inputs, bias=1.0)
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(inputs * kernel**2), kernel // 2, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        weight, style = self.weight * self.scale, self.affine(w)
        y = F.conv2d(x * style[:, :, None, None], weight, padding=self.padding)
        if self.demodulate:
            power = style.square() @ weight.square().sum((2, 3)).t()
            y = y * (power + 1e-8).rsqrt()[:, :, None, None]
        return y


class StyledLayer(nn.Module):
    """Modulated 3x3 convolution, optional doubling of the side, optional noise per pixel, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, latent: int, upsample: bool, noise: bool = True) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, outputs, 3, latent)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise = nn.Parameter(torch.zeros(())) if noise else None
        self.upsample = upsample

    def forward(self, x: Tensor, w: Tensor, generator: torch.Generator) -> Tensor:
        if self.upsample:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.convolution(x, w)
        if self.noise is not None:
            field = torch.randn(len(x), 1, *x.shape[2:], generator=generator)
            x = x + self.noise * field.to(x.device, non_blocking=True)
        return leaky(x + self.bias[:, None, None])


class StyleBackbone(nn.Module):
    """StyleGAN2's synthesis network with skip outputs: styles w (B, latent) -> (B, outputs, resolution, resolution).

    width: channels at full resolution; each halving of the side doubles them, up to 8 times.
    """

    def __init__(self, latent: int, outputs: int, resolution: int, width: int) -> None:
        super().__init__()
        levels = int(math.log2(resolution)) - 1
        channels = [width * min(8, 2 ** (levels - 1 - level)) for level in range(levels)]
        self.start = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.layers, self.heads = nn.ModuleList(), nn.ModuleList()
        for level, count in enumerate(channels):
            before = channels[max(0, level - 1)]
            first = [StyledLayer(before, count, latent, upsample=True)] if level else []
            self.layers.append(nn.ModuleList([*first, StyledLayer(count, count, latent, upsample=False)]))
            self.heads.append(ModulatedConv(count, outputs, 1, latent, demodulate=False))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, w: Tensor, generator: torch.Generator) -> Tensor:
        x = self.start.expand(len(w), -1, -1, -1)
        image: Tensor | None = None
        for layers, head in zip(self.layers, self.heads, strict=True):
            for layer in layers.children():
                x = layer(x, w, generator)
            here = head(x, w)
            if image is None:
                image = here
            else:
                image = here + F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
        assert image is not None  # there is a layer at least
        return image + self.bias[:, None, None]
