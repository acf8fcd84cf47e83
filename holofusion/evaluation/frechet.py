"""Fréchet distance of redrawn sets, from factors of the covariances: many of them in seconds."""

from __future__ import annotations

import numpy as np


def factor(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (C,) of features (n,C) that count `weights` (n,) times each, and a factor F (min(n,C),C): covariance = F^T F."""
    kept = weights > 0
    features, weights = features[kept], weights[kept]
    mean = weights @ features / weights.sum()
    rows = np.sqrt(weights / (weights.sum() - 1))[:, None] * (features - mean)
    triangle = rows if len(rows) <= rows.shape[1] else np.asarray(np.linalg.qr(rows, mode="r"))
    return mean, triangle


def frechet(first: np.ndarray, second: np.ndarray, first_weights: np.ndarray, second_weights: np.ndarray) -> float:
    """Fréchet distance of two weighted feature sets (n,C), (m,C).

    tr sqrt(S1 S2) is the sum of the singular values of F1 F2^T where S1 = F1^T F1 and S2 = F2^T F2.
    """
    (one, f1), (two, f2) = factor(first, first_weights), factor(second, second_weights)
    shared = np.linalg.svd(f1 @ f2.T, compute_uv=False).sum()
    return float(((one - two) ** 2).sum() + (f1**2).sum() + (f2**2).sum() - 2 * shared)
