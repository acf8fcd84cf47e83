"""Mixed precision: bf16 for the heavy layers, fp32 for weights and everything else."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """A context in which layers run in `precision`: "bf16" or "fp32"."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
