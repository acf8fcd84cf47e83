"""Random numbers: a fresh generator per named purpose, so that nothing depends on call order.

Training step n draws from `generator_for(training seed, "train", n)`: resuming needs no saved generator state. Sample k
draws from `generator_for("coarse", k)`: a scene is the same in any shard, and all methods and training seeds start from
the same noise.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def _number(*parts: object) -> int:
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator_for(*parts: object) -> torch.Generator:
    """A CPU generator whose state is a function of `parts` alone (any printable values)."""
    return torch.Generator().manual_seed(_number(*parts))


def numpy_generator_for(*parts: object) -> np.random.Generator:
    """The NumPy counterpart of `generator_for`."""
    return np.random.default_rng(_number(*parts))
