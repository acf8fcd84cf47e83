"""Outlines of masks, and how well cameras fit them: where they do, the silhouettes of the visual hull are the masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from holofusion.cameras import Cameras
from holofusion.data.preparation.crop import Square, crop_camera, known_area, square_around
from holofusion.data.preparation.outliers import rough_hull
from holofusion.data.preparation.visual_hull import Unusable, nearest_point

MASK_SIDE = 64  # px of the crops on which hull and mask are compared
CONTEXT = 0.1  # rim of these crops, as a fraction of the mask box
MAJORITIES = (0.95, 0.75)  # shares of the masks that hold a voxel of the hull; the one that fits better counts
FITS = 0.985  # agreement from which nothing else is tried; true cameras and masks reach 0.96 to 1
POOR = 0.94  # agreement below which something is wrong, whatever it is
ASIDE = 0.25  # median distance of lines of sight from their common point, in depths, of cameras that look at one thing


@dataclass(frozen=True)
class Outline:
    """A mask cut out at one size.

    mask: bool (S,S).  square: of the crop, in pixels of the photograph.  size: (width, height) of the photograph.
    area: see `known_area`.
    """

    mask: np.ndarray
    square: Square
    size: tuple[int, int]
    area: tuple[float, float, float, float]

    @classmethod
    def of(cls, inside: np.ndarray) -> Outline:
        """Of a mask bool (H,W) that is not empty."""
        square = square_around(inside, CONTEXT)
        return cls(_sampled(inside, square), square, (inside.shape[1], inside.shape[0]), known_area(inside, square))


@dataclass(frozen=True)
class Silhouettes:
    """Outlines of n photographs: masks bool (n,S,S), areas (n,4), squares and sizes as in `Outline`."""

    masks: Tensor
    squares: list[Square]
    sizes: list[tuple[int, int]]
    areas: Tensor

    @classmethod
    def of(cls, outlines: Sequence[Outline]) -> Silhouettes:
        return cls(
            torch.from_numpy(np.stack([outline.mask for outline in outlines])),
            [outline.square for outline in outlines],
            [outline.size for outline in outlines],
            torch.tensor([outline.area for outline in outlines]),
        )

    def mirrored(self) -> Silhouettes:
        """Of the photographs with left and right exchanged."""
        squares = [
            (width - left - side, top, side)
            for (left, top, side), (width, _) in zip(self.squares, self.sizes, strict=True)
        ]
        low, high, *rest = self.areas.unbind(1)
        return replace(self, masks=self.masks.flip(2), squares=squares, areas=torch.stack([-high, -low, *rest], 1))


def _sampled(inside: np.ndarray, square: Square) -> np.ndarray:
    """Bool (S,S): the mask at S x S points of the square; false beyond the photograph."""
    left, top, side = square
    steps = ((np.arange(MASK_SIDE) + 0.5) * side / MASK_SIDE).astype(float)
    rows, columns = np.floor(top + steps).astype(int), np.floor(left + steps).astype(int)
    height, width = inside.shape
    known = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None]
    return inside[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)] & known


def agreement(cameras: Cameras, silhouettes: Silhouettes) -> float:
    """How well masks and visual hull cover each other, 0 to 1, mean of the frames; 0 where cameras see no common point."""
    return float(fits(cameras, silhouettes, range(len(cameras))).mean())


def fits(
    cameras: Cameras, silhouettes: Silhouettes, trusted: Sequence[int], majorities: Sequence[float] = MAJORITIES
) -> Tensor:
    """How well the mask of each frame (n,) and the visual hull of the trusted frames cover each other, 0 to 1.

    Of the hulls in these shares of the masks, that which fits the trusted frames best. 0 where these see no common point.
    """
    crops = [
        crop_camera(
            cameras.focal[index], cameras.principal[index], silhouettes.sizes[index], silhouettes.squares[index]
        )
        for index in range(len(cameras))
    ]
    cropped = Cameras(
        cameras.R.float(),
        cameras.T.float(),
        torch.stack([focal for focal, _ in crops]),
        torch.stack([principal for _, principal in crops]),
    )
    best, chosen = torch.zeros(len(cameras)), list(trusted)
    try:
        point = nearest_point(cropped[chosen])
    except Unusable:
        return best
    ndc, depth = (part[:, 0] for part in cropped.project(point[None]))
    ahead = depth[chosen] > 0
    if ahead.float().mean() < 0.75:
        return best
    aside = ((ndc / cropped.focal).norm(dim=1))[chosen][ahead].median()
    if not aside < ASIDE:
        return best
    sizes = depth.clamp_min(1e-6) / cropped.focal.amin(1)
    reach = 1.5 * float(sizes[chosen][ahead].quantile(0.9)) / (1 + CONTEXT)
    masks, areas = silhouettes.masks[chosen], silhouettes.areas[chosen]
    for majority in majorities:
        points, side = rough_hull(cropped[chosen], masks, areas, point, reach, majority)
        found = _fit(cropped, silhouettes, points, (side / sizes).clamp(0, 2))
        if found[chosen].mean() > best[chosen].mean():
            best = found
    return best


def _fit(cameras: Cameras, silhouettes: Silhouettes, points: Tensor, voxels: Tensor) -> Tensor:
    """For each frame (n,), the share of the mask that the hull covers times the share of the hull that the mask covers.

    points: (P,3) of the hull.  voxels: (n,) side of a voxel in each picture, as a share of the crop's half side: by half of
    it the hull may be wider than its points.
    """
    size = silhouettes.masks.shape[-1]
    fits = torch.zeros(len(cameras))
    for index in range(len(cameras)):
        mask = silhouettes.masks[index]
        ndc, depth = (part[0] for part in cameras[index].project(points))
        low_x, high_x, low_y, high_y = silhouettes.areas[index].tolist()
        known = (depth > 0) & (ndc[:, 0] > low_x) & (ndc[:, 0] < high_x) & (ndc[:, 1] > low_y) & (ndc[:, 1] < high_y)
        pixel = ((1 - ndc[known]) * size / 2).floor().long()
        inside = ((pixel >= 0) & (pixel < size)).all(1)
        column, row = pixel.clamp(0, size - 1).unbind(1)
        hull = torch.zeros(size, size)
        hull[row[inside], column[inside]] = 1
        grow = math.ceil(float(voxels[index]) * size / 4)
        covered = functional.max_pool2d(hull[None], 2 * grow + 1, stride=1, padding=grow)[0] > 0
        held = (mask[row, column] & inside).float().mean() if len(row) else torch.tensor(0.0)
        fits[index] = held * (covered & mask).sum() / mask.sum().clamp_min(1)
    return fits
