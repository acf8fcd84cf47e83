"""Find the faces that pixels see by filling triangles: what a mesh of many small faces is rasterised with on a CPU.

PyTorch3D compares every pixel with every face there, which takes seconds a picture at ten thousand faces; this takes some
hundredths of one. Faces are always found on the CPU, whatever the device, and so are the same on all.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.rendering.rasterise import RIM_WIDTH, Found
from holofusion.rendering.triangles import fill, nearest, pixels_of_boxes

NEAREST = 1e-3  # world units: faces that come nearer to the camera's plane, or lie behind it, are not seen


class FaceSearch:
    """A `Search` for one mesh of faces (F, 3): its vertices may move from call to call."""

    def __init__(self, faces: Tensor) -> None:
        self.faces = faces.cpu().numpy()
        self.edges, numbers = edges_of(self.faces)
        self.numbers = numbers  # (F, 3), of the edges after each corner
        self.owner = np.zeros(len(self.edges), int)
        self.owner[numbers] = np.arange(len(self.faces))[:, None]
        self.owners = np.bincount(numbers.ravel(), minlength=len(self.edges))

    @torch.no_grad()
    def __call__(self, vertices: list[Tensor], faces: list[Tensor], cameras: Cameras, size: int) -> Found:
        """The faces seen of the mesh from one camera. Raises ValueError for several meshes, and for other faces."""
        if len(vertices) != 1 or len(cameras) != 1 or faces[0].shape != self.faces.shape:
            raise ValueError("this search is for the faces of one mesh, from one camera")
        local = (vertices[0].detach() @ cameras.R[0] + cameras.T[0]).cpu().double().numpy()
        focal, principal = (part[0].cpu().double().numpy() for part in (cameras.focal, cameras.principal))
        depth = local[:, 2]
        safe = np.maximum(depth, NEAREST)
        places = (1 - focal * local[:, :2] / safe[:, None] - principal) * (size / 2)
        visible = (depth[self.faces] > NEAREST).all(1)

        numbers = np.flatnonzero(visible)
        covered = fill(places[self.faces[numbers]], size)
        inverse = (covered.shares / safe[self.faces[numbers[covered.triangle]]]).sum(1)  # linear in the picture
        covered = nearest(covered, 1 / inverse)
        covering = np.full(size * size, -1)
        covering[covered.pixel] = numbers[covered.triangle]

        outline = self._outline(places, visible)
        which, pixel, share = _reaching(places[self.edges[outline]], covering < 0, size)
        edge = outline[which]
        reaching, weights, far = np.full(size * size, -1), np.zeros((size * size, 3)), np.zeros(size * size)
        reaching[pixel] = self.owner[edge]
        corners = self.faces[self.owner[edge]]
        ends = self.edges[edge]
        weights[pixel] = (corners == ends[:, :1]) * (1 - share[:, None]) + (corners == ends[:, 1:]) * share[:, None]
        far[pixel] = np.linalg.norm((local[corners] * weights[pixel][..., None]).sum(1), axis=1)

        device, shape = vertices[0].device, (1, size, size)
        parts = (covering, reaching, weights.astype(np.float32), far.astype(np.float32))
        return Found(*(torch.from_numpy(part).reshape(*shape, *part.shape[1:]).to(device) for part in parts))

    def _outline(self, places: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Numbers of the edges where faces seen from in front meet those seen from behind, or where the surface ends: the
        outline of what is seen runs along some of these."""
        first, second, third = places[self.faces].transpose(1, 0, 2)
        one, two = second - first, third - first
        front = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] > 0
        fronts = np.bincount(self.numbers.ravel(), front.repeat(3), len(self.edges))
        seen = np.bincount(self.numbers.ravel(), visible.repeat(3), len(self.edges)) == self.owners
        return np.flatnonzero(seen & ((fronts > 0) & (fronts < self.owners) | (self.owners == 1)))


def edges_of(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges (E, 2) of faces (F, 3), each once, lower vertex first; and numbers (F, 3) of the edges after each corner."""
    sides = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), -1).reshape(-1, 2)
    edges, numbers = np.unique(sides, axis=0, return_inverse=True)
    return edges, numbers.reshape(-1, 3)


def _reaching(segments: np.ndarray, free: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of free (size * size,) pixels within RIM_WIDTH of segments (E, 2, 2): the nearest segment of each (K,), the pixel (K,),
    and where on the segment it is nearest (K,), from 0 to 1."""
    number, pixel = pixels_of_boxes(segments.min(1) - RIM_WIDTH, segments.max(1) + RIM_WIDTH, size)
    number, pixel = number[free[pixel]], pixel[free[pixel]]
    place = np.stack([pixel % size, pixel // size], 1) + 0.5
    start, side = segments[number, 0], segments[number, 1] - segments[number, 0]
    share = (((place - start) * side).sum(1) / np.maximum((side**2).sum(1), 1e-12)).clip(0, 1)
    distance = np.linalg.norm(place - start - share[:, None] * side, axis=1)
    close = np.flatnonzero(distance < RIM_WIDTH)
    order = close[np.lexsort((distance[close], pixel[close]))]
    first = np.ones(len(order), bool)
    first[1:] = np.diff(pixel[order]) > 0
    return number[order[first]], pixel[order[first]], share[order[first]]
