"""How much of the machine's peak a training step of the 3D U-Net reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import layouts
from benchmarks.context import DEVICE, Context
from benchmarks.layouts import RELEASED
from benchmarks.timing import alternate
from holofusion.config.row_steps import HoloFusionTrainSettings
from holofusion.utils.precision import autocast, resolve_precision

SIDE = 2048  # of the matrices whose product stands for the peak
WIDTH, CUBE = 128, 12  # channels and side of the bare convolution


def measure(context: Context) -> dict[str, Any]:
    """Achieved over peak, both in floating-point operations a second, in the training's precision and in fp32.

    Peak: the fastest product of two matrices within a turn, at the same precision and number of threads. Where torch
    convolves faster than it multiplies matrices, that peak is too low: so the share of a bare convolution's rate, too.
    """
    settings, unet = context.training.settings, context.joint_method(trained=True).coarse.unet
    precision = resolve_precision(DEVICE, settings.volume.precision)
    batch, rounds = settings.training.batch, context.rounds
    return {
        "unet_peak_fraction": fraction(unet, settings, batch, precision, matrix_product, rounds),
        "unet_peak_fraction_fp32": fraction(unet, settings, batch, "fp32", matrix_product, rounds),
        "unet_convolution_fraction": fraction(unet, settings, batch, precision, bare_convolution, rounds),
        "unet_layout_speedup_fp32": layouts.speedup(RELEASED, "fp32", rounds),
        "unet_layout_speedup": layouts.speedup(RELEASED, precision, rounds),
    }


def fraction(
    unet: nn.Module, settings: HoloFusionTrainSettings, batch: int, precision: str, reference: Callable, rounds: int
) -> dict[str, Any]:
    """The step's rate over the best of the reference's, with both in 10^9 operations a second."""
    step, forward_backward = training_step(unet, settings, batch, precision)
    fastest = reference(torch.bfloat16 if precision == "bf16" else torch.float32)
    count, most = operations(forward_backward), operations(fastest)
    summary = alternate(fastest, step, rounds, least=0.4, of_first=min).summary(count / most)
    peak, whole = summary["seconds"]
    rates = {"gflops_peak": round(most / peak / 1e9, 1), "gflops": round(count / whole / 1e9, 1)}
    return {**summary, "precision": precision, "operations": count, **rates}


def matrix_product(dtype: torch.dtype) -> Callable[[], object]:
    one, two = (torch.randn(SIDE, SIDE, dtype=dtype) for _ in range(2))
    return lambda: torch.mm(one, two)


def bare_convolution(dtype: torch.dtype) -> Callable[[], object]:
    """A 3D convolution of as many channels as the U-Net's first has, without gradients."""
    grid = torch.randn(4, WIDTH, CUBE, CUBE, CUBE, dtype=dtype).contiguous(memory_format=torch.channels_last_3d)
    kernel = torch.randn(WIDTH, WIDTH, 3, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last_3d)
    return lambda: F.conv3d(grid, kernel, padding=1)


def training_step(
    unet: nn.Module, settings: HoloFusionTrainSettings, batch: int, precision: str
) -> tuple[Callable[[], None], Callable[[], None]]:
    """A function that does forward, backward and the optimiser's step, and one that does the first two alone."""
    side, channels = settings.volume.resolution // 2, unet.input.in_channels
    folded = torch.randn(batch, channels, side, side, side).contiguous(memory_format=torch.channels_last_3d)
    time, target = torch.rand(batch), torch.randn(batch, channels // 2, side, side, side)
    optimiser = torch.optim.Adam(unet.parameters(), lr=1e-4, betas=(0.9, 0.99))

    def forward_backward() -> None:
        optimiser.zero_grad(set_to_none=True)
        error(unet, folded, time, target, precision).backward()

    def step() -> None:
        forward_backward()
        optimiser.step()

    return step, forward_backward


def error(unet: nn.Module, folded: Tensor, time: Tensor, target: Tensor, precision: str) -> Tensor:
    with autocast(DEVICE, precision):
        predicted = unet(folded, time)
    return (predicted.float() - target).square().mean()


def operations(call: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions of one call, its backward pass included.

    A multiplication and an addition are two. Products inside fused attention are not seen.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
