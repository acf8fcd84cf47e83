"""The kernel distance of redrawn objects and scenes.

Images of one object resemble each other, so the honest unit to redraw is the object (reference) and the scene
(generated). All kernel values are summed per pair of units once; a replicate is then two small quadratic forms.
"""

from __future__ import annotations

import numpy as np

from holofusion.evaluation.bootstrap import replicates_of

ROWS_AT_ONCE = 512  # rows of the kernel matrix held at a time


def kernel_sums(first: np.ndarray, second: np.ndarray, first_units: np.ndarray, second_units: np.ndarray) -> np.ndarray:
    """Sums (U,V) of the kernel (x.y/C + 1)^3 over the images of every unit of `first` and every unit of `second`.

    Features (n,C) and (m,C); units are integers 0..U-1 (n,) and 0..V-1 (m,). Kernel: KID's, as in torch-fidelity.
    """
    membership = np.eye(second_units.max() + 1)[second_units]
    sums = np.zeros((first_units.max() + 1, membership.shape[1]))
    for start in range(0, len(first), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        kernel = (first[rows] @ second.T / first.shape[1] + 1) ** 3
        np.add.at(sums, first_units[rows], kernel @ membership)
    return sums


def _within(features: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel sums (U,U) and pair counts (U,U) without an image paired with itself, and the unit sizes (U,)."""
    sums = kernel_sums(features, features, units, units)
    itself = ((features**2).sum(1) / features.shape[1] + 1) ** 3
    sizes = np.bincount(units).astype(float)
    np.subtract.at(sums, (units, units), itself)
    return sums, np.outer(sizes, sizes) - np.diag(sizes), sizes


def redrawn_mean(sums: np.ndarray, pairs: np.ndarray, counts: np.ndarray) -> float:
    """Mean kernel value of a redrawn set; `counts` (U,) says how often each unit was drawn.

    Two draws of one unit are never compared with each other: the same image would meet itself and pull the
    estimate up.
    """
    weights = np.outer(counts, counts)
    np.fill_diagonal(weights, counts)
    return float((weights * sums).sum() / (weights * pairs).sum())


def repeated_image_distance(real: np.ndarray) -> float:
    """Kernel distance to features `real` (n,C) of one of these images repeated for ever; median over the images."""
    kernel = (real @ real.T / real.shape[1] + 1) ** 3
    among = (kernel.sum() - np.trace(kernel)) / (len(real) * (len(real) - 1))
    return float(np.median(np.diag(kernel) - 2 * kernel.mean(1)) + among)


def kernel_replicates(
    real: np.ndarray,
    generated: np.ndarray,
    objects: np.ndarray,
    scenes: np.ndarray,
    object_draws: np.ndarray | None,
    scene_draws: np.ndarray | None,
) -> np.ndarray | None:
    """Kernel distance (R,) of features `real` (n,C) and `generated` (m,C), float64, for every redraw.

    `objects` (n,) and `scenes` (m,) number the unit of every image from 0; the draws (R,U), (R,V) are those of
    `bootstrap.redraw`, None where a side has too few units.
    """
    real_sums, real_pairs, real_sizes = _within(real, objects)
    generated_sums, generated_pairs, generated_sizes = _within(generated, scenes)
    cross = kernel_sums(real, generated, objects, scenes)

    def distance(left: np.ndarray, right: np.ndarray) -> float:
        between = left @ cross @ right / ((left @ real_sizes) * (right @ generated_sizes))
        within = redrawn_mean(real_sums, real_pairs, left) + redrawn_mean(generated_sums, generated_pairs, right)
        return within - 2 * between

    return replicates_of(distance, object_draws, scene_draws)
