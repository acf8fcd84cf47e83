"""Mixed precision: bf16 for the heavy layers, fp32 for weights and everything else. And numbers too small to be normal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import torch


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """A context in which layers run in `precision`: "bf16", "fp32", or "auto": bf16 where the device computes in it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=resolve_precision(device, precision) == "bf16")


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """A context in which numbers too small to be normal are zero: Adam squares tiny gradients to such, and CPUs are slow on them.

    The state is the process's own: left on, it would change what is computed afterwards.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def resolve_precision(device: torch.device, precision: str) -> str:
    """What "auto" stands for on this device: "bf16" or "fp32"; any other precision as it is."""
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device.type) else "fp32"


@cache
def has_bf16(device_type: str) -> bool:
    """Whether the hardware has instructions for bf16. Without them torch emulates it, slower than fp32."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()
