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
    text = json.dumps([{"label": label, "seed": seed, **packed(Path(path))} for label, seed, path in meshes])
    return text.replace("<", "\\u003c")  # a label cannot end the script element it lies in


def packed(path: Path) -> dict[str, Any]:
    """The entry of one file, but for its label and seed."""
    vertices, faces, colours = read_mesh(path)
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
    """Vertices (n, 3) in world units, faces (m, 3), colours (n, 3) from 0 to 255, in the file's own order."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        mesh = trimesh.load_mesh(path, process=False)
        vertices, faces = np.asarray(mesh.vertices, float), np.asarray(mesh.faces)
        colours = np.asarray(mesh.visual.vertex_colors)[:, :3]  # type: ignore[union-attr]
    except Exception as error:  # the reader raises whatever a damaged file happens to trip
        raise UserError(f"{path}: not a mesh that can be read ({error})") from None
    if not len(faces) or not np.isfinite(vertices).all() or not vertices.any():
        raise UserError(f"{path}: no surface to show; expected finite vertices and at least one face")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise UserError(f"{path}: a face names a vertex that is not there")
    return vertices, faces, colours


def encoded(values: np.ndarray, kind: str) -> str:
    """The values as numbers of one kind, row by row, in base64."""
    return base64.b64encode(values.astype(kind).tobytes()).decode()
