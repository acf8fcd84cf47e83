"""Small meshes that tests of the viewer pack and look at: coloured squares, and pictures as textures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from holofusion.meshing.textured import TexturedMesh

FRONT, RIGHT, TOP = (220, 40, 40), (40, 180, 60), (40, 70, 220)
COLOURS = {"+z": FRONT, "+x": RIGHT, "+y": TOP, "-z": (230, 200, 40), "-x": (200, 60, 200), "-y": (40, 200, 210)}
MARKS = {FRONT: (0.8, 0.0, 0.0), RIGHT: (-0.6, 0.3, 0.2), TOP: (0.1, 0.6, -0.4)}
QUARTERS = {FRONT: (-0.25, 0.25), RIGHT: (0.25, 0.25), TOP: (-0.25, -0.25), COLOURS["-z"]: (0.25, -0.25)}


def square(centre: np.ndarray, normal: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners and two faces of a square seen counterclockwise from the tip of its normal."""
    u = np.roll(np.abs(normal), 1)
    v = np.cross(normal, u)
    corners = [centre + half * (a * u + b * v) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return np.array(corners), np.array([[0, 1, 2], [0, 2, 3]])


def write_squares(path: Path, squares: list[tuple[np.ndarray, np.ndarray, float, tuple[int, int, int]]]) -> Path:
    """A mesh of (centre, normal, half side, colour) squares."""
    parts = [square(*item[:3]) for item in squares]
    vertices = np.concatenate([corners for corners, _ in parts])
    faces = np.concatenate([faces + 4 * number for number, (_, faces) in enumerate(parts)])
    colours = np.repeat([item[3] for item in squares], 4, axis=0)
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(path)
    return path


def write_textured(path: Path, texture: np.ndarray) -> Path:
    """A square of side 1 that faces +z and shows the texture upright."""
    corners, faces = square(np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.5)
    places = corners[:, :2] * (1, -1) + 0.5
    TexturedMesh(corners.astype(np.float32), faces, places, faces, texture).export(path)
    return path
