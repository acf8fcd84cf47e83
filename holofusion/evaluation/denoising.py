"""Errors of denoisers by noise level, on codes of held-out objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

import torch
from torch import Tensor

from holofusion.utils.random import generator_for

Estimate = Callable[[Tensor, float, float], Tensor]
"""(noisy codes (B,C,n,n,n), alpha, sigma) -> estimate of the clean codes, of the same shape."""


class DenoiserErrors(TypedDict):
    """Errors of one estimate: its name as shown, signal-to-noise ratios alpha^2 / sigma^2, and the error at each."""

    name: str
    snr: list[float]
    error: list[float]


@torch.no_grad()
def denoising_errors(
    name: str, estimate: Estimate, codes: Tensor, levels: Sequence[tuple[float, float]], batch: int = 8
) -> DenoiserErrors:
    """Mean squared error of `estimate` on held-out codes (N,C,n,n,n), as a share of the codes' variance.

    levels: (alpha, sigma) of each noise level. 1 is the error of always answering with the codes' mean. Noise depends on
    level and code alone, so that estimates are compared on the same noisy codes.
    """
    # of a single code the mean says nothing but the code; standardised ones have their mean at 0
    variance = (codes - (codes.mean(0) if len(codes) > 1 else 0)).square().mean().item()
    errors = []
    for number, (alpha, sigma) in enumerate(levels):
        total = 0.0
        for start in range(0, len(codes), batch):
            clean = codes[start : start + batch]
            noise = torch.stack(
                [
                    torch.randn(clean.shape[1:], generator=generator_for("denoising error", number, start + index))
                    for index in range(len(clean))
                ]
            ).to(clean)
            difference = estimate(alpha * clean + sigma * noise, alpha, sigma) - clean
            total += difference.square().mean((1, 2, 3, 4)).sum().item()
        errors.append(total / len(codes) / variance)
    return {"name": name, "snr": [(alpha / sigma) ** 2 for alpha, sigma in levels], "error": errors}
