"""Mixed precision: bf16 for the heavy layers, fp32 for weights and everything else."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import torch


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """A context in which layers run in `precision`: "bf16", "fp32", or "auto": bf16 where the device computes in it."""
    chosen = precision == "bf16" or (precision == "auto" and has_bf16(device.type))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=chosen)


@cache
def has_bf16(device_type: str) -> bool:
    """Whether the hardware computes in bf16. Without it torch emulates it, a hundred times slower than fp32."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
