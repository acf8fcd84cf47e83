"""Linear codes of plain grids: the principal components of blocks of k^3 voxels.

What is coded of a voxel is its density before the softplus, cut and scaled to [-1, 1], and its colours in [0, 1], times a
weight: both ends of the density's range look alike, so that more of it is not worth numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from holofusion.config.codes import Codes

DENSEST = 8.0  # density before the softplus is cut at +-this
COLOUR_WEIGHT = 2.0  # of a colour in [0, 1] beside density in [-1, 1]
COLOUR_MARGIN = 0.01  # decoded colours stay that far from 0 and 1
SURFACE = 0.5  # a block with a voxel that far from either end of the density's range holds a piece of the surface
ELSEWHERE = 0.1  # weight of a block without one, in the components


def to_features(grids: Tensor) -> Tensor:
    """What the code holds (B, 4, n, n, n) of plain grids of that shape."""
    density = grids[:, :1].clamp(-DENSEST, DENSEST) / DENSEST
    return torch.cat([density, COLOUR_WEIGHT * torch.sigmoid(grids[:, 1:])], 1)


def from_features(features: Tensor) -> Tensor:
    """The inverse of `to_features`, for densities and colours within their limits."""
    colours = (features[:, 1:] / COLOUR_WEIGHT).clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN)
    return torch.cat([DENSEST * features[:, :1], torch.logit(colours)], 1)


def fold_blocks(x: Tensor, block: int) -> Tensor:
    """(B, C, n, n, n) -> (B, C * block^3, m, m, m), m = n / block: the voxels of a block become channels."""
    for axis in range(2, 5):
        x = x.unflatten(axis, (-1, block)).movedim(axis + 1, 2).flatten(1, 2)
    return x


def unfold_blocks(x: Tensor, block: int) -> Tensor:
    """The inverse of `fold_blocks`."""
    for axis in reversed(range(2, 5)):
        x = x.unflatten(1, (-1, block)).movedim(2, axis + 1).flatten(axis, axis + 1)
    return x


class BlockCode(nn.Module):
    """`codes.numbers` per block. middle (4 block^3,): the mean block; basis (numbers, 4 block^3): orthonormal components."""

    middle: Tensor
    basis: Tensor

    def __init__(self, codes: Codes) -> None:
        super().__init__()
        self.block, size = codes.block, 4 * codes.block**3
        self.register_buffer("middle", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(codes.numbers, size))

    @torch.no_grad()
    def fit(self, grids: Iterable[Tensor]) -> None:
        """Set mean and components from plain grids (4, n, n, n); blocks near surfaces count most."""
        size = len(self.middle)
        total, sums, squares = 0.0, torch.zeros(size).double(), torch.zeros(size, size).double()
        for grid in grids:
            features = fold_blocks(to_features(grid[None].float()), self.block)[0].flatten(1)  # (size, blocks)
            raw = fold_blocks(grid[None, :1].float(), self.block)[0].flatten(1)
            weight = torch.where((raw.abs() < DENSEST - SURFACE).any(0), 1.0, ELSEWHERE)
            total += float(weight.sum())
            sums += (features @ weight).double().cpu()
            squares += ((features * weight) @ features.T).double().cpu()
        middle = sums / total
        _, vectors = torch.linalg.eigh(squares / total - torch.outer(middle, middle))
        self.middle.copy_(middle)
        self.basis.copy_(vectors.T.flip(0)[: len(self.basis)])

    def encode(self, grids: Tensor) -> Tensor:
        """Codes (B, numbers, m, m, m) of plain grids (B, 4, n, n, n)."""
        blocks = fold_blocks(to_features(grids.float()), self.block) - self.middle[:, None, None, None]
        return torch.einsum("bcxyz,kc->bkxyz", blocks, self.basis)

    def blocks(self, codes: Tensor) -> Tensor:
        """Features (B, 4 block^3, m, m, m) of codes (B, numbers, m, m, m): the linear decoder, folded."""
        return torch.einsum("bkxyz,kc->bcxyz", codes, self.basis) + self.middle[:, None, None, None]
