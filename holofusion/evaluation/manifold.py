"""Precision, recall, density, coverage, diversity and memorisation, in feature space.

Precision and recall: Kynkäänniemi et al. 2019, as in torch-fidelity. Density and coverage: Naeem et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

PRECISION_NEIGHBOURS = 3  # torch-fidelity's and the authors'
DENSITY_NEIGHBOURS = 5  # the authors'
MEMORISED_SHARE = 0.05  # of held-out real images, which may lie as near to a training image as a memorised one


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances (n,m) of features (n,C) and (m,C)."""
    return torch.cdist(torch.from_numpy(first), torch.from_numpy(second)).numpy()


def radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance (n,) of every image to its `neighbours`-th nearest other one; the farthest where there are fewer."""
    ordered = np.sort(distances(features, features), axis=1)
    return ordered[:, min(neighbours, len(features) - 1)]


def precision_recall(real: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """torch-fidelity's precision and recall of features (n,C), (m,C)."""
    neighbours = min(PRECISION_NEIGHBOURS, len(real) - 1, len(generated) - 1)
    scores = prc_features_to_metric(
        torch.from_numpy(generated),
        torch.from_numpy(real),
        prc_neighborhood=neighbours,
        prc_batch_size=10000,
        save_cpu_ram=False,
        verbose=False,
    )
    return scores[KEY_METRIC_PRECISION], scores[KEY_METRIC_RECALL]


Statistic = Callable[[np.ndarray, np.ndarray], float]


def shares(real: np.ndarray, generated: np.ndarray) -> dict[str, Statistic]:
    """Precision, recall, density and coverage of features (n,C), (m,C), as functions of how often each real (n,) and each
    generated image (m,) counts. Neighbourhoods are those of the whole sets; an image that counts 0 times has none.

    precision: share of generated images among the neighbours of a real one; recall: the reverse. density: how many real
    images' neighbourhoods hold a generated one; coverage: share of real ones whose neighbourhood holds any.
    """
    between = distances(real, generated)
    near = min(PRECISION_NEIGHBOURS, len(real) - 1, len(generated) - 1)
    dense = min(DENSITY_NEIGHBOURS, len(real) - 1)
    near_real, near_generated = between <= radii(real, near)[:, None], between <= radii(generated, near)[None]
    around_real = between <= radii(real, dense)[:, None]
    return {
        "precision": lambda left, right: float(right @ near_real[left > 0].any(0) / right.sum()),
        "recall": lambda left, right: float(left @ near_generated[:, right > 0].any(1) / left.sum()),
        "density": lambda left, right: float(
            left @ around_real @ right / (dense * right.sum()) * len(left) / left.sum()
        ),
        "coverage": lambda left, right: float(left @ around_real[:, right > 0].any(1) / left.sum()),
    }


def diversity(features: np.ndarray, units: np.ndarray) -> Callable[[np.ndarray], float]:
    """Mean distance of images of different units, as a function of how often each unit counts (U,)."""
    membership = np.eye(units.max() + 1)[units]
    sums = membership.T @ distances(features, features) @ membership
    pairs = np.outer(membership.sum(0), membership.sum(0))

    def mean(counts: np.ndarray) -> float:
        weights = np.outer(counts, counts)
        np.fill_diagonal(weights, 0)
        return float((weights * sums).sum() / (weights * pairs).sum())

    return mean


def nearest(training: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every generated image (m,) the number of the nearest training image, and its distance."""
    between = distances(generated, training)
    return between.argmin(1), between.min(1)


def near_limit(training: np.ndarray, held_out: np.ndarray) -> float:
    """The distance below which an image counts as memorised: 5 % of real held-out images come nearer to a training image."""
    return float(np.quantile(nearest(training, held_out)[1], MEMORISED_SHARE))
