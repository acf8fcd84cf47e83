"""What is done to a surface before it is written: small loose pieces are left out, and faces are joined to fewer."""

from __future__ import annotations

import fast_simplification
import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SMALLEST_PIECE = 0.01  # share of the faces
CAUTION = 3  # of joining faces: more hastily, some surfaces touch themselves afterwards


def piece_of_faces(faces: np.ndarray, vertices: int) -> np.ndarray:
    """The number (F,) of the connected piece that each of faces (F, 3) belongs to."""
    first, others = faces[:, [0, 0]].ravel(), faces[:, 1:].ravel()
    joined = coo_array((np.ones(len(first), bool), (first, others)), shape=(vertices, vertices))
    return np.unique(connected_components(joined, directed=False)[1][faces[:, 0]], return_inverse=True)[1]


def without_floaters(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh without pieces of under 1 % of the faces, and without the vertices that no face uses; never nothing."""
    if not len(faces):
        return vertices, faces
    piece = piece_of_faces(faces, len(vertices))
    counts = np.bincount(piece)
    kept = faces[counts[piece] >= min(SMALLEST_PIECE * len(faces), counts.max())]
    used, places = np.unique(kept, return_inverse=True)
    return vertices[used], places.reshape(-1, 3)


def decimated(vertices: np.ndarray, faces: np.ndarray, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with about `budget` faces, by edge collapse (Garland and Heckbert 1997); as it is where it has no more.

    A closed mesh stays closed: where joining faces opened it, twice as many are kept, and so on.
    """
    closed = trimesh.Trimesh(vertices, faces, process=False).is_watertight
    while budget < len(faces):
        fewer, joined = fast_simplification.simplify(
            np.ascontiguousarray(vertices, np.float32),
            np.ascontiguousarray(faces, np.int32),
            target_count=budget,
            agg=CAUTION,
        )
        if not closed or trimesh.Trimesh(fewer, joined, process=False).is_watertight:
            return fewer.astype(np.float32), joined.astype(int)
        budget *= 2
    return vertices, faces
