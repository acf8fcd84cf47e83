"""Convert images to bytes, as PNG files and banks of hypotheses hold them, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_bytes(images: Tensor) -> np.ndarray:
    """(B, 3, S, S) in [0, 1] -> uint8 (B, S, S, 3), rounded and clipped."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def from_bytes(images: np.ndarray) -> Tensor:
    """uint8 (..., S, S, 3) -> (..., 3, S, S) in [0, 1]."""
    return torch.from_numpy(images).movedim(-1, -3).float() / 255
