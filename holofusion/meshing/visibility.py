"""Which points of a surface cameras see."""

from __future__ import annotations

import numpy as np
import torch

from holofusion.cameras import Cameras
from holofusion.rendering.triangles import fill, nearest

SIDE = 256  # px, of the pictures in which depths are compared
TOLERANCE = 0.02  # of depth, share of the surface's size


def seen_by(cameras: Cameras, points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Whether any camera sees each of points (N, 3) on the surface of vertices (M, 3) and faces (F, 3): (N,) bool.

    A point is seen where nothing of the surface lies in front of it, up to 2 % of the surface's size.
    """
    tolerance = TOLERANCE * float((vertices.max(0) - vertices.min(0)).max())
    seen = np.zeros(len(points), bool)
    for index in range(len(cameras)):
        camera = cameras[index].to("cpu")
        (flat, depth), (places, away) = (projected(camera, part, SIDE) for part in (vertices, points))
        drawn = faces[(depth[faces] > 0).all(1)]
        covered = fill(flat[drawn], SIDE)
        front = nearest(covered, 1 / (covered.shares / depth[drawn[covered.triangle]]).sum(1))
        buffer = np.full(SIDE * SIDE, np.inf)
        buffer[front.pixel] = 1 / (front.shares / depth[drawn[front.triangle]]).sum(1)
        pixel = np.floor(places).astype(int)
        inside = (away > 0) & ((pixel >= 0) & (pixel < SIDE)).all(1)
        pixel = pixel.clip(0, SIDE - 1)
        seen |= inside & (away <= buffer[pixel[:, 1] * SIDE + pixel[:, 0]] + tolerance)
    return seen


def projected(camera: Cameras, points: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (N, 2) of points (N, 3) in one camera's picture, x and y in pixels of `side`, and depths (N,) along its axis."""
    ndc, depth = camera.project(torch.from_numpy(np.asarray(points, np.float32)).to(camera.R))
    return (1 - ndc[0].cpu().double().numpy()) * side / 2, depth[0].cpu().double().numpy()
