"""A surface unfolded onto a square picture, and the picture painted from colours in space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import trimesh
import xatlas
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.meshing.visibility import seen_by
from holofusion.rendering.triangles import fill

PADDING = 4  # texels between the parts of an atlas
THINNED = 16  # of so many texels that are seen one is a candidate for colours of those that are not

Paint = Callable[[Tensor, Tensor], Tensor]
"""Colours (N, 3) in [0, 1] of a surface at points (N, 3) with outward unit normals (N, 3), all on the CPU."""


def unfolded(vertices: np.ndarray, faces: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """An atlas of a mesh, by xatlas: places (U, 2) in [0, 1], from the upper left corner, and their numbers by face (F, 3).

    side: of the texture that it is packed for, texels.
    """
    atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = side, PADDING, True
    atlas.add_mesh(vertices.astype(np.float32), faces.astype(np.uint32))
    atlas.generate(xatlas.ChartOptions(), packing)
    _, corners, places = atlas[0]
    shape = np.array([atlas.width, atlas.height])
    return (places * shape / shape.max()).astype(np.float32), corners.astype(int)


def baked(
    vertices: np.ndarray,
    faces: np.ndarray,
    places: np.ndarray,
    corners: np.ndarray,
    side: int,
    paint: Paint,
    cameras: Cameras | None = None,
) -> np.ndarray:
    """The texture (side, side, 3), uint8, of a mesh unfolded to `places` and `corners`: each texel as `paint` has its point.

    Of texels that none of the cameras sees nothing is known: they get the colour of the point that is seen and nearest in
    space. Texels outside all faces get that of the nearest inside, so that no seam shows at any distance.
    """
    covered = fill(places[corners] * side, side)
    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    texture, inside = np.zeros((side * side, 3), np.uint8), np.zeros(side * side, bool)
    owner, shares = faces[covered.triangle], covered.shares[..., None]
    points, directions = ((values[owner] * shares).sum(1) for values in (vertices, normals))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True).clip(1e-12)
    seen = np.ones(len(points), bool) if cameras is None else seen_by(cameras, points, vertices, faces)
    seen |= not seen.any()
    colours = np.zeros((len(points), 3), np.uint8)
    colours[seen] = colour_bytes(
        paint(*(torch.tensor(part[seen], dtype=torch.float32) for part in (points, directions)))
    )
    if not seen.all():
        known = np.flatnonzero(seen)[::THINNED]
        colours[~seen] = colours[known[cKDTree(points[known]).query(points[~seen])[1]]]
    texture[covered.pixel] = colours
    inside[covered.pixel] = True
    if inside.any():
        rows, columns = distance_transform_edt(~inside.reshape(side, side), return_distances=False, return_indices=True)
        texture = texture.reshape(side, side, 3)[rows, columns]
    return texture.reshape(side, side, 3)


def colour_bytes(colours: Tensor) -> np.ndarray:
    """Colours (M, 3) in [0, 1] as uint8."""
    return (colours.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
