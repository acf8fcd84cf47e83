"""GRAF's discriminator of small patches (Schwarz et al. 2020), which does not know their scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ITERATIONS = 8  # of the power method, from where it began in every call: no state that is not weights


class SpectralConv(nn.Module):
    """A 4x4 convolution that halves the side, its weights divided by their largest singular value."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 4, 4))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.start: Tensor
        self.register_buffer("start", F.normalize(torch.randn(outputs), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight / self.norm(), self.bias, stride=2, padding=1)

    def norm(self) -> Tensor:
        """The largest singular value of the weights as a matrix (outputs, inputs 16), by the power method."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            left = self.start
            for _ in range(ITERATIONS):
                right = F.normalize(matrix.T @ left, dim=0)
                left = F.normalize(matrix @ right, dim=0)
        return left @ (matrix @ right)


class PatchDiscriminator(nn.Module):
    """Patches (B, 3, K, K), K = `size`, a power of 2 -> scores (B,): convolutions down to one number, instance norm between.

    width: channels after the first; each halving doubles them, up to 8 times.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        levels = int(math.log2(size))
        channels = [3, *(width * min(8, 2**level) for level in range(levels - 1)), 1]
        self.layers = nn.ModuleList(SpectralConv(a, b) for a, b in zip(channels, channels[1:], strict=False))

    def forward(self, patches: Tensor) -> Tensor:
        x = self.layers[0](patches)
        for layer in self.layers[1:]:
            x = layer(F.leaky_relu(x, 0.2))
            if x.shape[-1] > 1:
                x = F.instance_norm(x)
        return x[:, 0, 0, 0]
