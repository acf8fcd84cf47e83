"""Nearest training objects of samples, in feature space and in code space, against how near held-out objects come.

A sample that is nearer to a training object than held-out objects are may be a copy of it. A rank says how near: the share
of held-out objects that are nearer to their own nearest training object than the sample is to its. Honest samples have
ranks spread between 0 and 1; copies have 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from holofusion.evaluation import manifold
from holofusion.evaluation.references import ImageSet


@dataclass(frozen=True)
class NearestObject:
    """The training object nearest to one sample: its number, their distance, and the rank among held-out objects."""

    number: int
    distance: float
    rank: float


def picture_distances(generated: ImageSet, training: ImageSet) -> np.ndarray:
    """Distances (V,U) of V scenes to U training objects in feature space.

    The mean, over a scene's pictures, of the distance to the object's nearest picture: views are not paired, so that each
    picture finds the one taken from the most similar side.
    """
    pictures = manifold.distances(generated.features.numpy(), training.features.numpy())
    nearest = np.stack([pictures[:, training.units == unit].min(1) for unit in range(training.n_units)], axis=1)
    sizes = np.bincount(generated.units)
    return np.stack([np.bincount(generated.units, column) / sizes for column in nearest.T], axis=1)


def code_distances(samples: Tensor, training: Tensor) -> np.ndarray:
    """Root mean square difference (S,N) of codes (S,C,n,n,n) and (N,C,n,n,n), over positions and channels."""
    first, second = samples.flatten(1).double(), training.flatten(1).double()
    return (torch.cdist(first, second) / first.shape[1] ** 0.5).cpu().numpy()


def nearest_objects(distances: np.ndarray, held_out: np.ndarray) -> list[NearestObject]:
    """The nearest training object of each sample.

    distances (S,N): of samples to training objects; held_out (H,N): of held-out objects to the same, H at least 1. Equal
    distances count half.
    """
    expected = held_out.min(1)
    nearest = []
    for row in distances:
        number = int(row.argmin())
        nearer = (expected < row[number]).mean() + (expected == row[number]).mean() / 2
        nearest.append(NearestObject(number, float(row[number]), float(nearer)))
    return nearest
