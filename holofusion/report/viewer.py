"""Encode meshes as text inside the report, for templates/viewer.js to draw."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from holofusion.utils.files import UserError

INT16_STEPS = 32767  # of an int16, from the origin to the mesh's largest coordinate


def pack(meshes: list[tuple[str, int, Path]]) -> str:
    """JSON text of (label, sample seed, .ply) triples, safe inside `<script type="application/json">`.

    Per mesh: `label`, `seed`, the counts `vertices` and `faces`, `radius` (of the farthest vertex from the origin, in
    world units), `scale` (world units per step of a position), and in base64, little-endian: `positions` (int16 xyz),
    `colours` (uint8 rgb), `indices` (uint16, or uint32 above 65535 vertices; three per face). A mesh of n faces has
    about n / 2 vertices and takes 14 n bytes: 210 kB at 15000 faces. A file without colours is shown grey. All meshes are
    shown at one scale and turned about the world's origin, so give them in the frame they were generated in.
    Raises UserError naming the file if it is absent, is not a mesh, or has no surface.
    """
    text = json.dumps(
        [{"label": label, "seed": seed, **packed(*read_mesh(Path(path)))} for label, seed, path in meshes]
    )
    return text.replace("<", "\\u003c")  # a label cannot end the script element it lies in


def packed(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> dict[str, Any]:
    """The entry of one mesh, but for its label and seed: what `read_mesh` gives."""
    largest = float(np.abs(vertices).max())
    scale = largest / INT16_STEPS
    return {
        "vertices": len(vertices),
        "faces": len(faces),
        "radius": float(np.linalg.norm(vertices, axis=1).max()),
        "scale": scale,
        "positions": encoded(np.rint(vertices / scale), "<i2"),
        "colours": encoded(colours, "u1"),
        "indices": encoded(faces, "<u2" if len(vertices) <= 0xFFFF else "<u4"),
    }


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (n, 3) in world units, faces (m, 3), colours (n, 3) from 0 to 255 as they are seen, in the file's own order.

    Of a textured mesh the colours are the texture's at the vertices.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        mesh: Any = trimesh.load_mesh(path, process=False)
        vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces)
        colours = np.broadcast_to(_colours_of(mesh.visual), vertices.shape)
    except Exception as error:  # the reader raises whatever a damaged file happens to trip
        raise UserError(f"{path}: not a mesh that can be read ({error})") from None
    if not len(faces) or not np.isfinite(vertices).all() or not vertices.any():
        raise UserError(f"{path}: no surface to show; expected finite vertices and at least one face")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise UserError(f"{path}: a face names a vertex that is not there")
    return vertices, faces, colours


def _colours_of(visual: Any) -> np.ndarray:
    """Colours (n, 3) from 0 to 255 as they are seen: of the vertices, or of a texture at them."""
    if not isinstance(visual, trimesh.visual.TextureVisuals):
        return np.asarray(visual.vertex_colors)[:, :3]
    if visual.uv is None:
        return np.full((1, 3), 180)
    return np.asarray(visual.to_color().vertex_colors)[:, :3]


def thinned(
    vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mesh with at most `most` faces or so: vertices of a cell of a cubic lattice become one, their mean.

    Vertices that lie together, as at the seams of a texture, become one in any case.
    As in Rossignac and Borrel, "Multi-resolution 3D approximations for rendering complex scenes", 1993.
    """
    places, one = np.unique(vertices, axis=0, return_inverse=True)
    if len(places) < len(vertices):
        count = np.bincount(one)[:, None]
        colours = np.stack([np.bincount(one, column) for column in np.asarray(colours, float).T], 1) / count
        vertices, faces = places, one[faces]
    cells = 256.0
    first = (vertices, faces, colours)
    while len(faces) > most and cells > 4:
        cells /= 1.25
        low = first[0].min(0)
        place = np.floor((first[0] - low) / (np.ptp(first[0], axis=0).max() / cells + 1e-12)).astype(np.int64)
        _, cell = np.unique(place @ np.array([1, 1024, 1024**2]), return_inverse=True)
        count = np.bincount(cell)[:, None]
        vertices, colours = (
            np.stack([np.bincount(cell, column) for column in np.asarray(part, float).T], 1) / count
            for part in (first[0], first[2])
        )
        faces = cell[first[1]]
        faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    return vertices, faces, np.rint(colours)


def encoded(values: np.ndarray, kind: str) -> str:
    """The values as numbers of one kind, row by row, in base64."""
    return base64.b64encode(values.astype(kind).tobytes()).decode()
