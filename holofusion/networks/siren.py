"""pi-GAN's radiance field: sine layers whose frequencies and phases come from a mapping network (Chan et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FilmLayer(nn.Module):
    """sin(frequency * (W x + b) + phase) for x (B, N, inputs), frequency and phase (B, outputs).

    Initial weights are uniform: +-1 / inputs in the first layer, +-sqrt(6 / inputs) / 25 after it, so that with
    frequencies around 30 the deviation of the activations stays of order one at any depth.
    """

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        limit = 1 / inputs if first else math.sqrt(6 / inputs) / 25
        nn.init.uniform_(self.linear.weight, -limit, limit)

    def forward(self, x: Tensor, frequency: Tensor, phase: Tensor) -> Tensor:
        # frequency and phase go into the weights: one matrix product instead of two more passes over all points
        weight = (frequency[:, :, None] * self.linear.weight).transpose(1, 2)
        shift = (frequency * self.linear.bias + phase)[:, None]
        return torch.sin(torch.baddbmm(shift, x, weight))


class FilmMapping(nn.Module):
    """Latent z (B, latent) -> frequencies 15 f + 30 and phases, (B, layers, width) each."""

    def __init__(self, latent: int, hidden: int, layers: int, width: int) -> None:
        super().__init__()
        self.shape = (2, layers, width)
        widths = [latent, hidden, hidden, hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.last = nn.Linear(hidden, 2 * layers * width)
        for layer in (*self.hidden, self.last):
            nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
        with torch.no_grad():
            self.last.weight *= 0.25

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.hidden:
            z = F.leaky_relu(layer(z), 0.2)
        frequency, phase = self.last(z).reshape(len(z), *self.shape).unbind(1)
        return 15 * frequency + 30, phase


class FilmSiren(nn.Module):
    """Points and view directions (B, N, 3), frequencies and phases (B, layers + 1, width) -> density and colour.

    Density (B, N) per world unit; colour (B, N, 3) in [0, 1], which sees the direction in its one layer of its own.
    """

    def __init__(self, width: int, layers: int, extent: float, density_scale: float) -> None:
        super().__init__()
        self.extent, self.density_scale = extent, density_scale
        self.trunk = nn.ModuleList(FilmLayer(3 if i == 0 else width, width, first=i == 0) for i in range(layers))
        self.density = nn.Linear(width, 1)
        self.tint = FilmLayer(width + 3, width)
        self.colour = nn.Linear(width, 3)
        for layer in (self.density, self.colour):
            nn.init.uniform_(layer.weight, -math.sqrt(6 / width) / 25, math.sqrt(6 / width) / 25)

    def forward(self, points: Tensor, directions: Tensor, frequency: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        x = points / self.extent
        for index, layer in enumerate(self.trunk):
            x = layer(x, frequency[:, index], phase[:, index])
        density = self.density_scale * F.relu(self.density(x)[..., 0])
        x = self.tint(torch.cat([directions, x], -1), frequency[:, -1], phase[:, -1])
        return density, torch.sigmoid(self.colour(x))
