"""Pictures of a painted solid: sphere tracing of its distance grid, light fixed in the world, soft edges.

One `Model` is baked per object (distances, and on the same nodes how much of the sky and of the key light the surface
sees), then traced from every camera. Colours do not depend on the camera, as a radiance field without view
directions expects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from holofusion.data.synthetic.sdf import Grid, Part, column, distance_grid, length, nearest
from holofusion.data.synthetic.textures import noise

CELLS = 96  # grid cells along the longest side of an object
TILE = 8  # rays of a tile share the empty space in front of them
KEY = column([-0.45, 0.72, 0.53])  # towards the key light
FILL = column([0.75, 0.15, 0.35])


@dataclass(frozen=True)
class Model:
    """A baked object: parts, distances and light (sky share, key share) on one grid."""

    parts: Sequence[Part]
    distance: Grid
    light: Grid

    def surface_points(self) -> Tensor:
        """Points (3, n) within half a cell of the surface: enough to frame the object."""
        values = self.distance.values.flatten()
        return self.distance.nodes()[:, values.abs() < self.distance.cell]


def bake(parts: Sequence[Part]) -> Model:
    """Distance grid, ambient occlusion and soft shadow of the union of `parts`."""
    grid = distance_grid(parts, CELLS, lambda p: 0.6 * noise(p, 0.045)[0] + 0.4 * noise(p, 0.13)[1])
    values = grid.values.flatten()
    near = (values.abs() < 2.5 * grid.cell).nonzero()[:, 0]
    points = grid.nodes()[:, near]
    normals = _grid_normals(grid, near)
    start = points - normals * values[near] + normals * (1.5 * grid.cell)
    sky = torch.ones(len(near))
    for step, weight in ((0.05, 0.9), (0.11, 0.6), (0.2, 0.42), (0.34, 0.3)):
        sky -= weight * (step - grid.sample(start + normals * step)[0]).clamp(min=0) / step * 0.45
    key, walked = torch.ones(len(near)), torch.full((len(near),), 0.03)
    for _ in range(12):
        clear = grid.sample(start + KEY * walked)[0]
        key = torch.minimum(key, (7 * clear / walked + 0.25).clamp(0, 1))
        walked = walked + clear.clamp(0.03, 0.15)
    light = torch.ones(2, len(values))
    light[:, near] = torch.stack((sky.clamp(0.15, 1), key))
    return Model(parts, grid, Grid(light.reshape(1, 2, *grid.values.shape[2:]), grid.origin, grid.cell))


def _grid_normals(grid: Grid, index: Tensor) -> Tensor:
    flat = grid.values.flatten()
    steps = (1, grid.values.shape[4], grid.values.shape[4] * grid.values.shape[3])
    last = len(flat) - 1
    slope = torch.stack([flat[(index + s).clamp(max=last)] - flat[(index - s).clamp(min=0)] for s in steps])
    return slope / length(slope).clamp(min=1e-6)


def shade(model: Model, points: Tensor) -> Tensor:
    """sRGB colours (3, n) of surface points (3, n), lit by key, fill and sky; no highlights that follow the view."""
    _, index = nearest(model.parts, points)
    albedo, normals = torch.empty_like(points), torch.empty_like(points)
    for number, part in enumerate(model.parts):
        rows = (index == number).nonzero()[:, 0]
        if not len(rows):
            continue
        here = points[:, rows]
        smooth = _normals(part, here)
        albedo[:, rows] = part.paint(here, smooth)
        if part.bump:
            smooth = smooth + part.bump * 0.7 * noise(here, 0.035, 11.0)[:3]
            smooth = smooth / length(smooth).clamp(min=1e-6)
        normals[:, rows] = smooth
    sky, key = model.light.sample(points + normals * model.distance.cell)
    toward = (KEY * normals).sum(0)
    lit = ((toward + 0.25) / 1.25).clamp(min=0) * key
    fill = ((FILL * normals).sum(0) * 0.5 + 0.5).square()
    above = normals[1] * 0.5 + 0.5
    warm, cool, ground = column([1.0, 0.96, 0.88]), column([0.88, 0.94, 1.0]), column([0.95, 0.88, 0.82])
    amount = 0.72 * warm * lit + sky * (0.13 * cool * fill + 0.48 * (ground * (1 - above) * 0.6 + cool * above))
    linear = albedo.clamp(0.01, 0.98).pow(2.2) * amount
    return (linear * 1.08).clamp(0, 1).pow(1 / 2.2)


def _normals(part: Part, points: Tensor, step: float = 0.004) -> Tensor:
    corners = torch.tensor([[1.0, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    total = sum(corner[:, None] * part.solid.distance(points + step * corner[:, None]) for corner in corners)
    return total / length(total).clamp(min=1e-9)


def trace(model: Model, origin: Tensor, directions: Tensor, start: Tensor, end: Tensor, cone: float = 0.0) -> Tensor:
    """Distances (n,) along unit rays (3, n) from `origin` (3, 1) at which they meet the object; inf where they miss.

    With `cone` > 0 each ray is a cone of that half-angle (tangent) and stops where the cone may first touch.
    """
    grid, limit = model.distance, 0.1 * model.distance.cell
    result = torch.full_like(start, torch.inf)
    rows = (start < end).nonzero()[:, 0]
    t, rays, last = start[rows], directions[:, rows], end[rows]
    for _ in range(64):
        if not len(rows):
            break
        clear = grid.sample(origin + rays * t)[0] - cone * t
        done = clear < limit
        result[rows[done]] = t[done] + (0.0 if cone else clear[done])
        t = t + (0.95 * clear).clamp(min=0.4 * grid.cell)  # a ray along the surface must get past it
        go = (~done & (t < last)).nonzero()[:, 0]
        rows, t, rays, last = rows[go], t[go], rays[:, go], last[go]
    if cone:
        result[rows] = t
    return result


def render(
    model: Model, R: Tensor, T: Tensor, focal: float, size: int, samples: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Image (size, size, 3) on white and coverage (size, size), both uint8.

    R (3, 3), T (3,): PyTorch3D extrinsics (row vectors, X R + T) in object units; focal in NDC; principal point 0.
    """
    side = size * samples
    origin = -(R @ T).reshape(3, 1)
    low = model.distance.origin
    high = low + model.distance.cell * (torch.tensor(model.distance.values.shape[:1:-1]).reshape(3, 1) - 1)
    tiles = -(-side // TILE)
    tile_rays = _rays(R, focal, side, tiles, TILE)
    pixel = 2 / (side * focal)
    first, last = _box(origin, tile_rays, low, high, margin=TILE * pixel * 2 * float(length(origin)))
    near = trace(model, origin, tile_rays, first, last, cone=TILE * pixel * 0.75)
    start = near.reshape(tiles, 1, tiles, 1).expand(tiles, TILE, tiles, TILE)
    start = start.reshape(tiles * TILE, tiles * TILE)[:side, :side].reshape(-1)
    rows = torch.isfinite(start).nonzero()[:, 0]
    rays = _rays(R, focal, side, side)[:, rows]
    _, last = _box(origin, rays, low, high)
    depth = trace(model, origin, rays, start[rows], last)
    hit = torch.isfinite(depth).nonzero()[:, 0]
    colors = torch.ones(3, side * side)
    cover = torch.zeros(1, side * side)
    colors[:, rows[hit]] = shade(model, origin + rays[:, hit] * depth[hit])
    cover[:, rows[hit]] = 1
    picture = F.avg_pool2d(torch.cat((colors, cover)).reshape(1, 4, side, side), samples)[0]
    bytes_ = (picture * 255).round().to(torch.uint8).numpy()
    return np.ascontiguousarray(bytes_[:3].transpose(1, 2, 0)), bytes_[3]


def _rays(R: Tensor, focal: float, side: int, count: int, stride: int = 1) -> Tensor:
    """Unit directions (3, count * count) through the centres of blocks of `stride` pixels of a `side` image."""
    at = 1 - (torch.arange(count, dtype=torch.float32) + 0.5) * (2 * stride / side)
    y, x = torch.meshgrid(at, at, indexing="ij")
    rays = R @ torch.stack((x.flatten() / focal, y.flatten() / focal, torch.ones(count * count)))
    return rays / length(rays)


def _box(origin: Tensor, rays: Tensor, low: Tensor, high: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
    """Distances at which the rays enter and leave the box grown by `margin`; enter > leave where they miss it."""
    inverse = 1 / torch.where(rays.abs() < 1e-9, torch.full_like(rays, 1e-9), rays)
    a, b = (low - margin - origin) * inverse, (high + margin - origin) * inverse
    return torch.minimum(a, b).amax(0).clamp(min=0), torch.maximum(a, b).amin(0)


def orbit(azimuth: float, elevation: float, distance: float, target: Tensor) -> tuple[Tensor, Tensor]:
    """PyTorch3D R (3, 3), T (3,) of a camera looking at `target` (3, 1); radians, azimuth 0 on +z, +y up."""
    flat = math.cos(elevation)
    way = column([math.sin(azimuth) * flat, math.sin(elevation), math.cos(azimuth) * flat])
    forward = -way
    left = torch.linalg.cross(column([0.0, 1.0, 0.0]), forward, dim=0)
    left = left / length(left)
    R = torch.cat((left, torch.linalg.cross(forward, left, dim=0), forward), 1)
    return R, -(R.T @ (target + way * distance)).flatten()
