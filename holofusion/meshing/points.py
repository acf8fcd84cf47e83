"""Surfaces compared as sets of points drawn on them.

Chamfer distance: the mean, over points drawn evenly by area on one surface, of the distance to the nearest point drawn
on the other; averaged over both directions. Normal consistency: the mean of the absolute cosine between the normals there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from holofusion.utils.random import numpy_generator_for


@dataclass(frozen=True)
class Drawn:
    """Points (k, 3) on a surface, and its unit normals (k, 3) there."""

    points: np.ndarray
    normals: np.ndarray


def drawn_points(mesh: trimesh.Trimesh, count: int, *name: object) -> Drawn:
    """`count` points drawn evenly by area on the surface, by a generator of that name."""
    points, faces = trimesh.sample.sample_surface(mesh, count, seed=numpy_generator_for("surface points", *name))
    return Drawn(points, mesh.face_normals[faces])


def surface_points(mesh: trimesh.Trimesh, count: int, *name: object) -> np.ndarray:
    """The points (count, 3) alone."""
    return drawn_points(mesh, count, *name).points


def normal_consistencies(generated: list[Drawn], reference: list[Drawn]) -> np.ndarray:
    """Normal consistency (n, m), in [0, 1], between each of n and each of m surfaces."""
    trees = [[(shape, cKDTree(shape.points)) for shape in shapes] for shapes in (generated, reference)]

    def along(one: Drawn, other: Drawn, tree: cKDTree) -> float:
        return float(np.abs((one.normals * other.normals[tree.query(one.points)[1]]).sum(1)).mean())

    return np.array(
        [
            [(along(shape, other, other_tree) + along(other, shape, tree)) / 2 for other, other_tree in trees[1]]
            for shape, tree in trees[0]
        ]
    )


def chamfer_distances(generated: list[np.ndarray], reference: list[np.ndarray]) -> np.ndarray:
    """Chamfer distance (n, m), world units, between each of n and each of m sets of points (k, 3)."""
    trees = [[(points, cKDTree(points)) for points in shapes] for shapes in (generated, reference)]
    return np.array(
        [
            [(tree.query(others)[0].mean() + other.query(points)[0].mean()) / 2 for others, other in trees[1]]
            for points, tree in trees[0]
        ]
    )
