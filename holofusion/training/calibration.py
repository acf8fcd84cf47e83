"""How fast this machine trains: seconds of a step of a small 3D U-Net on one thread. `python -m holofusion.training.calibration`.

The network is that of the preset `mini`, so that a forecast can hold one machine's seconds against another's.
"""

from __future__ import annotations

import time

import torch

from holofusion.networks.unet import UNet
from holofusion.utils.malloc import keep_freed_memory
from holofusion.utils.precision import autocast

BATCH, CHANNELS, SIDE = 4, 64, 12  # folded grids that are denoised
STEPS = 2  # measured, after one that is not


def step_seconds() -> float:
    """The least of some steps: forward, backward, optimiser."""
    torch.set_num_threads(1)
    keep_freed_memory()
    network = UNet(3, 2 * CHANNELS, CHANNELS, [32, 64], 1, SIDE)
    grids = torch.randn(BATCH, 2 * CHANNELS, SIDE, SIDE, SIDE)
    times, optimiser = torch.rand(BATCH), torch.optim.Adam(network.parameters())
    spent = []
    for _ in range(1 + STEPS):
        began = time.perf_counter()
        with autocast(grids.device, "auto"):
            predicted = network(grids, times)
        optimiser.zero_grad(set_to_none=True)
        predicted.float().square().mean().backward()
        optimiser.step()
        spent.append(time.perf_counter() - began)
    return min(spent[1:])


if __name__ == "__main__":
    print(f"{step_seconds():.4g}")
