"""GRAF's conditional radiance field: shape and appearance have a code each (Schwarz et al. 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def encoded(x: Tensor, bands: int) -> Tensor:
    """x (..., 3) in [-1, 1], and the sines and cosines of pi x, 2 pi x, 4 pi x, ...: (..., 3 + 6 bands)."""
    angles = [2**band * math.pi * x for band in range(bands)]
    return torch.cat([x, *(wave for angle in angles for wave in (angle.sin(), angle.cos()))], -1)


class CodedLinear(nn.Module):
    """A linear layer of x (B, N, inputs) with the member's code (B, code) joined to every row: (B, N, outputs)."""

    def __init__(self, inputs: int, code: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, outputs)
        self.coded = nn.Linear(code, outputs, bias=False)
        for layer in (self.own, self.coded):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / (inputs + code)))
        nn.init.zeros_(self.own.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        # the code counts once per member, not once per row
        return self.own(x) + self.coded(code)[:, None]


class ConditionalField(nn.Module):
    """Points and view directions (B, N, 3), codes of shape and appearance (B, code) each -> density and colour.

    Density (B, N) per world unit sees the shape alone. Colour (B, N, 3) in [0, 1] sees both; the direction, and the code of
    appearance, enter in its one layer of its own. Halfway, the trunk sees its input again. bands: frequencies of the encoded
    position and direction.
    """

    def __init__(
        self, code: int, width: int, layers: int, bands: tuple[int, int], extent: float, density_scale: float
    ) -> None:
        super().__init__()
        self.extent, self.density_scale, self.bands = extent, density_scale, bands
        position, direction = (3 + 6 * count for count in bands)
        self.again = layers // 2
        self.entry = CodedLinear(position, code, width)
        self.trunk = nn.ModuleList(nn.Linear(width, width) for _ in range(1, layers))
        self.middle = CodedLinear(position, code, width)
        self.density = nn.Linear(width, 1)
        self.features = nn.Linear(width, width)
        self.tint = CodedLinear(width + direction, code, width // 2)
        self.colour = nn.Linear(width // 2, 3)
        for layer in self.trunk:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.density.bias, -3.0)  # start nearly transparent

    def forward(self, points: Tensor, directions: Tensor, shape: Tensor, appearance: Tensor) -> tuple[Tensor, Tensor]:
        position = encoded(points / self.extent, self.bands[0])
        x = F.relu(self.entry(position, shape))
        for index, layer in enumerate(self.trunk, start=1):
            x = layer(x)
            x = F.relu(x + self.middle(position, shape) if index == self.again else x)
        density = self.density_scale * F.softplus(self.density(x)[..., 0])
        x = torch.cat([self.features(x), encoded(directions, self.bands[1])], -1)
        return density, torch.sigmoid(self.colour(F.relu(self.tint(x, appearance))))
