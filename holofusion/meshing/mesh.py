"""Triangle meshes with vertex colours, and their files.

World units, y up, faces counter-clockwise seen from outside. PLY holds the colours as they are seen (sRGB, 8 bit), as
its readers expect; GLB holds them linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from holofusion.meshing.glb import glb_bytes
from holofusion.utils.files import UserError, replacing


@dataclass(frozen=True)
class Mesh:
    """vertices (M, 3) float32, faces (F, 3), colours (M, 3) uint8, sRGB; level: the density at the surface, per world unit,
    None where it was not found by a density. No faces: there is nothing.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray
    level: float | None = None

    def trimesh(self) -> trimesh.Trimesh:
        """The same for the library trimesh, vertices in the same order."""
        colours = self.colours if len(self.faces) else None
        return trimesh.Trimesh(self.vertices, self.faces, vertex_colors=colours, process=False)

    def ply(self) -> bytes:
        """The content of a PLY file. The mesh has faces."""
        return trimesh.exchange.ply.export_ply(self.trimesh(), vertex_normal=False)

    def glb(self) -> bytes:
        """The content of a GLB file. The mesh has faces."""
        opaque = np.full((len(self.colours), 1), 255, np.uint8)
        return glb_bytes(self.vertices, self.faces, np.concatenate([self.colours, opaque], 1))

    def export(self, path: Path | str) -> None:
        """Write a .ply or .glb file. Raises UserError for another suffix, and for a mesh without faces."""
        path = Path(path)
        if path.suffix not in (".ply", ".glb"):
            raise UserError(f"{path}: meshes are written as .ply or .glb")
        if not len(self.faces):
            raise UserError(f"{path}: the mesh has no faces")
        with replacing(path) as temporary:
            temporary.write_bytes(self.ply() if path.suffix == ".ply" else self.glb())


def pieces(mesh: trimesh.Trimesh) -> tuple[int, float]:
    """Number of connected pieces of a mesh, and the share of its area outside the largest of them."""
    if not len(mesh.faces):
        return 0, 0.0
    first, others = mesh.faces[:, [0, 0]].ravel(), mesh.faces[:, 1:].ravel()
    joined = coo_array((np.ones(len(first), bool), (first, others)), shape=(len(mesh.vertices),) * 2)
    piece = connected_components(joined, directed=False)[1][mesh.faces[:, 0]]
    areas = np.bincount(piece, mesh.area_faces)
    return len(np.unique(piece)), float(1 - areas.max() / areas.sum())
