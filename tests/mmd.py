"""The unbiased squared maximum mean discrepancy, written out."""

from __future__ import annotations

import numpy as np


def unbiased_mmd2(real: np.ndarray, generated: np.ndarray) -> float:
    """Of features (n,C), (m,C) under the kernel (x.y/C + 1)^3 (Gretton et al. 2012, eq. 3)."""

    def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return (first @ second.T / first.shape[1] + 1) ** 3

    def within(features: np.ndarray) -> float:
        values = kernel(features, features)
        return float((values.sum() - np.trace(values)) / (len(features) * (len(features) - 1)))

    return within(real) + within(generated) - 2 * float(kernel(real, generated).mean())
