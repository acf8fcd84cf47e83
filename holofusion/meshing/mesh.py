"""Surfaces of scenes as triangle meshes with vertex colours, and what becomes of them in a file.

World units, y up, faces counter-clockwise seen from outside. PLY holds a surface as it was found, with the colours as they
are seen (sRGB, 8 bit), as its readers expect; GLB and OBJ hold it cleaned, with fewer faces and with a texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from holofusion.cameras import Cameras
from holofusion.meshing.atlas import Paint, baked, unfolded
from holofusion.meshing.cleaning import decimated, piece_of_faces, without_floaters
from holofusion.meshing.textured import TexturedMesh
from holofusion.utils.files import UserError, replacing


@dataclass(frozen=True)
class Outlines:
    """What of a scene's renders its surface was matched with: cameras, and whether each pixel (B, S, S) is opaque."""

    cameras: Cameras
    opaque: np.ndarray

    def overlap(self, covered: np.ndarray) -> float:
        """Intersection over union of silhouettes (B, S, S) bool with the opaque pixels, over all views; 1 where all are empty."""
        either = (covered | self.opaque).sum()
        return float((covered & self.opaque).sum() / either) if either else 1.0


@dataclass(frozen=True)
class Mesh:
    """vertices (M, 3) float32, faces (F, 3), colours (M, 3) uint8, sRGB. No faces: there is nothing.

    paint: the colours anywhere on it. level: the density at the surface, per world unit, None where it was not found by a
    density; such a mesh keeps its faces. outlines: those of the renders, None where no cameras were given.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray
    paint: Paint
    level: float | None = None
    outlines: Outlines | None = None

    def trimesh(self) -> trimesh.Trimesh:
        """The same for the library trimesh, vertices in the same order."""
        colours = self.colours if len(self.faces) else None
        return trimesh.Trimesh(self.vertices, self.faces, vertex_colors=colours, process=False)

    def ply(self) -> bytes:
        """The content of a PLY file. The mesh has faces."""
        return trimesh.exchange.ply.export_ply(self.trimesh(), vertex_normal=False)

    def textured(self, faces: int = 10_000, texture: int = 1024) -> TexturedMesh:
        """The mesh without small loose pieces, with about `faces` faces at most and a texture of `texture` texels a side.

        One that was not found by a density keeps all its faces. The mesh has faces.
        """
        surface = self.vertices, self.faces
        if self.level is not None:
            surface = decimated(*without_floaters(*surface), faces)
        places, corners = unfolded(*surface, texture)
        cameras = None if self.outlines is None else self.outlines.cameras
        picture = baked(*surface, places, corners, texture, self.paint, cameras)
        return TexturedMesh(*surface, places, corners, picture)

    def export(self, path: Path | str, faces: int = 10_000, texture: int = 1024, length: float | None = None) -> None:
        """Write a .ply file as it is, or a .glb or .obj file, the latter with its .mtl and .png, as `textured` makes it.

        length: of the longest side of the box around what is written as .glb or .obj, 1 for a unit box, or metres; None: in
        world units and place. Raises UserError for another suffix, and for a mesh without faces.
        """
        path = Path(path)
        if path.suffix not in (".ply", ".glb", ".obj"):
            raise UserError(f"{path}: meshes are written as .ply, .glb or .obj")
        if not len(self.faces):
            raise UserError(f"{path}: the mesh has no faces")
        if path.suffix == ".ply":
            with replacing(path) as temporary:
                temporary.write_bytes(self.ply())
            return
        mesh = self.textured(faces, texture)
        (mesh if length is None else mesh.scaled(length)).export(path)


def pieces(mesh: trimesh.Trimesh) -> tuple[int, float]:
    """Number of connected pieces of a mesh, and the share of its area outside the largest of them."""
    if not len(mesh.faces):
        return 0, 0.0
    piece = piece_of_faces(mesh.faces, len(mesh.vertices))
    areas = np.bincount(piece, mesh.area_faces)
    return int(piece.max()) + 1, float(1 - areas.max() / areas.sum())


def open_edges(mesh: trimesh.Trimesh) -> int:
    """Number of edges that not exactly two faces share: none of a closed surface."""
    counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)[1]
    return int((counts != 2).sum())
