"""Filled triangles, against the rule for one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from holofusion.rendering import triangles as code
from holofusion.rendering.triangles import fill, nearest

SIZE = 24


def drawn(count: int) -> np.ndarray:
    """Triangles of any shape, some of them partly or wholly outside the picture."""
    random = np.random.default_rng(0)
    return random.uniform(-10, SIZE + 10, (count, 1, 2)) + random.normal(0, 6, (count, 3, 2))


def test_each_pixel_whose_centre_lies_inside_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    triangles, centres = drawn(40), np.stack(np.meshgrid(*[np.arange(SIZE) + 0.5] * 2), -1).reshape(-1, 2)
    inside = {(n, p) for n, t in enumerate(triangles) for p in np.flatnonzero(Outline(t).contains_points(centres))}
    whole = fill(triangles, SIZE)
    assert {*zip(whole.triangle.tolist(), whole.pixel.tolist(), strict=True)} == inside and len(inside) > 200
    np.testing.assert_allclose(
        (triangles[whole.triangle] * whole.shares[..., None]).sum(1), centres[whole.pixel], atol=1e-9
    )
    monkeypatch.setattr(code, "TESTS_AT_ONCE", 50)
    parts = fill(triangles, SIZE)
    assert {*zip(parts.triangle.tolist(), parts.pixel.tolist(), strict=True)} == inside


def test_both_ways_round_count_and_lines_cover_nothing() -> None:
    square = np.array([[[0, 0], [4, 0], [0, 4]], [[4, 4], [4, 0], [0, 4]], [[0, 0], [4, 4], [2, 2]]], float)
    assert set(fill(square, 4).pixel.tolist()) == set(range(16)) and 2 not in fill(square, 4).triangle
    assert len(fill(square[:0], 4).pixel) == 0


def test_the_nearest_of_each_pixel_is_kept() -> None:
    both = np.array([[[0, 0], [8, 0], [0, 8]], [[0, 0], [4, 0], [0, 4]]], float)
    covered = fill(both, 8)
    seen = nearest(covered, np.array([2.0, 1.0])[covered.triangle])
    front = set(fill(both[1:], 8).pixel.tolist())
    assert len(np.unique(seen.pixel)) == len(seen.pixel) == len(fill(both[:1], 8).pixel)
    assert {pixel for pixel, owner in zip(seen.pixel.tolist(), seen.triangle, strict=True) if owner == 1} == front
