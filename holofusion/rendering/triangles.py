"""Fill triangles on a grid of pixels: what maps to textures and pictures of textured meshes are made with.

Written for many small triangles on a CPU, in numpy. Every triangle tests the pixels of its bounding box, all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TESTS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Covered:
    """Pixels that triangles cover: K pairs. triangle (K,), pixel (K,): flat, row by row; shares (K, 3): of the corners."""

    triangle: np.ndarray
    pixel: np.ndarray
    shares: np.ndarray


def fill(triangles: np.ndarray, size: int) -> Covered:
    """All pixels whose centres lie in triangles (F, 3, 2), corners as x, y in pixels, of a square picture of side `size`.

    A centre is half a pixel from the pixel's border. Both ways round count; triangles without area cover nothing.
    """
    parts = [_covered(triangles, boxes, size) for boxes in _boxes(triangles, size)]
    return Covered(*(np.concatenate([part[index] for part in parts]) for index in range(3)))


def nearest(covered: Covered, depth: np.ndarray) -> Covered:
    """For each pixel the pair of least depth (K,), in order of pixels; of equals the first triangle."""
    order = np.lexsort((covered.triangle, depth, covered.pixel))
    first = np.ones(len(order), bool)
    first[1:] = np.diff(covered.pixel[order]) > 0
    chosen = order[first]
    return Covered(covered.triangle[chosen], covered.pixel[chosen], covered.shares[chosen])


def pixels_of_boxes(low: np.ndarray, high: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """All pixels whose centres lie in boxes from low to high (N, 2), x and y: numbers of the boxes (K,), pixels (K,)."""
    first, count = _box(low, high, size)
    number, place = _each(first, count)
    return number, place[:, 1] * size + place[:, 0]


def _box(low: np.ndarray, high: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel and the number of pixels (N, 2), x and y, of boxes."""
    first = np.ceil(low - 0.5).clip(0, size).astype(int)
    return first, (np.floor(high - 0.5).clip(-1, size - 1).astype(int) + 1 - first).clip(0)


def _each(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of boxes one by one: numbers of the boxes (K,), and places (K, 2), x and y."""
    tests = count.prod(1)
    row = np.repeat(np.arange(len(first)), tests)
    within = np.arange(len(row)) - np.repeat(np.cumsum(tests) - tests, tests)
    return row, first[row] + np.stack([within % count[row, 0], within // count[row, 0]], 1)


def _boxes(triangles: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Triangles in portions: their numbers (f,), and the first and the number of the pixels of their boxes (f, 2), x and y."""
    low, count = _box(triangles.min(1), triangles.max(1), size)
    ends = np.cumsum(count.prod(1))
    portions = ends // TESTS_AT_ONCE
    for portion in np.unique(portions) if len(ends) else [0]:
        numbers = np.flatnonzero(portions == portion)
        yield numbers, low[numbers], count[numbers]


def _covered(
    triangles: np.ndarray, boxes: tuple[np.ndarray, np.ndarray, np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers, low, count = boxes
    row, place = _each(low, count)
    first, second, third = triangles[numbers].astype(float).transpose(1, 0, 2)
    one, two = second - first, third - first
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    with np.errstate(divide="ignore"):
        inverse = np.where(area == 0, 0.0, 1 / area)
    offset = place + 0.5 - first[row]
    v = (offset[:, 0] * two[row, 1] - offset[:, 1] * two[row, 0]) * inverse[row]
    w = (offset[:, 1] * one[row, 0] - offset[:, 0] * one[row, 1]) * inverse[row]
    shares = np.stack([1 - v - w, v, w], 1)
    inside = (shares >= 0).all(1) & (area[row] != 0)
    return numbers[row[inside]], place[inside, 1] * size + place[inside, 0], shares[inside]
