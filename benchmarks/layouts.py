"""How a U-Net's tensors had better lie in memory: a training step with channels last and with channels first.

python -m benchmarks.layouts [PRECISION ...]    # fp32 if none is named; prints the column of docs/performance.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.timing import Ratios, alternate
from holofusion.networks.unet import UNet
from holofusion.utils.precision import autocast

Network = tuple[int, int, int, tuple[int, ...], int, int, int]
"""Dimensions, channels in and out, channels by level, blocks, side and batch."""

RELEASED: Network = (3, 64, 64, (64, 64, 128, 256, 512), 2, 16, 1)  # HoloDiffusion's
NETWORKS: tuple[Network, ...] = (
    (3, 384, 128, (64, 96), 1, 12, 4),
    (3, 128, 64, (32, 64), 1, 12, 4),
    (3, 384, 128, (64, 128), 1, 12, 2),
    (3, 384, 128, (64, 128, 256), 1, 16, 1),
    RELEASED,
    (3, 1024, 512, (32, 64, 128, 256, 512), 2, 16, 1),
    (3, 1024, 512, (32, 64, 224), 2, 16, 1),
    (2, 28, 12, (32, 64, 128), 1, 32, 12),
    (2, 28, 12, (64, 128, 256), 1, 32, 4),
    (2, 28, 12, (64, 128, 256, 512), 2, 32, 2),
)


def step_of(network: Network, precision: str, first: bool) -> Callable[[], None]:
    """A function that goes forward and backward, with channels first in memory or last."""
    dimensions, inputs, outputs, channels, blocks, side, batch = network
    net = UNet(dimensions, inputs, outputs, channels, blocks, side if dimensions == 3 else None, precision)
    last = torch.channels_last if dimensions == 2 else torch.channels_last_3d
    net.layout = torch.contiguous_format if first else last
    net.to(memory_format=net.layout)
    x, time = torch.randn(batch, inputs, *[side] * dimensions), torch.rand(batch)

    def step() -> None:
        with autocast(x.device, precision):
            predicted = net(x, time)
        predicted.float().square().mean().backward()

    return step


def ratios(network: Network, precision: str, rounds: int) -> Ratios:
    """Seconds of a step with channels last over those with channels first."""
    return alternate(step_of(network, precision, False), step_of(network, precision, True), rounds)


def speedup(network: Network, precision: str, rounds: int) -> dict[str, Any]:
    """Time of a step with the tensors laid out the other way, over that with the network's own layout."""
    dimensions, inputs, outputs, channels, blocks, side, _ = network
    own = UNet(dimensions, inputs, outputs, channels, blocks, side, precision).layout
    found = ratios(network, precision, rounds)
    return (found if own == torch.contiguous_format else Ratios(found.second, found.first)).summary()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for precision in sys.argv[1:] or ["fp32"]:
        for network in NETWORKS:
            print(precision, *network, f"{ratios(network, precision, 5).summary()['median']:.2f}", flush=True)
