"""Surfaces compared as sets of points drawn on them.

Chamfer distance: the mean, over points drawn evenly by area on one surface, of the distance to the nearest point drawn
on the other; averaged over both directions.
"""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from holofusion.utils.random import numpy_generator_for


def surface_points(mesh: trimesh.Trimesh, count: int, *name: object) -> np.ndarray:
    """Points (count, 3) drawn evenly by area on the surface, by a generator of that name."""
    return trimesh.sample.sample_surface(mesh, count, seed=numpy_generator_for("surface points", *name))[0]


def chamfer_distances(generated: list[np.ndarray], reference: list[np.ndarray]) -> np.ndarray:
    """Chamfer distance (n, m), world units, between each of n and each of m sets of points (k, 3)."""
    trees = [[(points, cKDTree(points)) for points in shapes] for shapes in (generated, reference)]
    return np.array(
        [
            [(tree.query(others)[0].mean() + other.query(points)[0].mean()) / 2 for others, other in trees[1]]
            for points, tree in trees[0]
        ]
    )
