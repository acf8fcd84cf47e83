"""How many training objects a sample is put together from, position by position of its code.

A denoiser that has learned patches by heart makes mosaics: each position of a sample's code equals some training code at
the same position. Neither a distance of distributions nor the nearest whole object shows that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_SHARE = 0.01  # of all positions: below it a training object does not count as a source
TIE = 1e-4  # relative difference of squared distances up to which two training codes are equally near
OBJECTS_AT_ONCE = 16


@dataclass(frozen=True)
class Sources:
    """Where a sample's positions come from.

    commonest: number of the training object that is nearest at most positions; share: of all positions compared.
    count: training objects that hold at least 1 % of the positions each.
    """

    commonest: int
    share: float
    count: int


def sources_of(sample: Tensor, training: Tensor, positions: Tensor | None = None) -> Sources:
    """Sources of one code (C,n,n,n) among training codes (N,C,n,n,n).

    A position belongs to the training object with the least squared distance there, over channels. Where several are
    equally near, as in empty space, the object that holds most positions gets it, then the one that holds most of the
    rest, and so on: the share of the commonest is never understated.
    positions (n,n,n) bool: those that are compared; None: all. `told_apart` leaves out those that are alike in every
    training object. Raises ValueError if there are none.
    """
    near = nearest_at(sample, training)
    near = near.flatten(1) if positions is None else near[:, positions]
    if not near.shape[1]:
        raise ValueError("sources of a code: no positions to compare")
    left, held = near.clone(), []
    while left.any():
        counts = left.sum(1)
        number = int(counts.argmax())
        held.append((number, int(counts[number]) / near.shape[1]))
        left &= ~near[number]
    return Sources(held[0][0], held[0][1], sum(share >= LEAST_SHARE for _, share in held))


def nearest_at(sample: Tensor, training: Tensor) -> Tensor:
    """Whether each training code (N,C,n,n,n) is nearest to the code `sample` (C,n,n,n) at each position: (N,n,n,n) bool."""
    squared = torch.cat([(part - sample).square().sum(1) for part in training.split(OBJECTS_AT_ONCE)])
    scale = sample.square().mean()
    return squared <= squared.amin(0) * (1 + TIE) + TIE**2 * scale


def told_apart(training: Tensor) -> Tensor:
    """Positions (n,n,n) at which training codes (N,C,n,n,n) are not all the same."""
    return (training.amax(0) - training.amin(0)).amax(0) > TIE * training.square().mean().sqrt()
