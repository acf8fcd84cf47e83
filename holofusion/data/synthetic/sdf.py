"""Solids as signed distances: primitives, their unions, and the grid on which they are traced.

Points are float32 tensors (3, n): rows x, y, z are contiguous, which is what makes this fast on one core.
A distance is negative inside. Every primitive carries a bounding sphere, so that a union looks only at the
solids near a point. Formulas: https://iquilezles.org/articles/distfunctions (bounds, not always exact).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from skimage.measure import label
from torch import Tensor

Vector = Sequence[float] | np.ndarray | Tensor  # three numbers
Field = Callable[[Tensor], Tensor]  # points (3, n) -> distances (n,)
Paint = Callable[[Tensor, Tensor], Tensor]  # points (3, n), unit normals (3, n) -> sRGB colours (3, n) in [0, 1]


def column(values: Vector) -> Tensor:
    """Three numbers as a (3, 1) float32 column."""
    return torch.as_tensor(values, dtype=torch.float32).reshape(3, 1)


def length(points: Tensor) -> Tensor:
    """Euclidean length of (k, n) points: (n,)."""
    return (points * points).sum(0).sqrt()


def rotation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Tensor:
    """Rotation matrix (3, 3) turning column vectors by the angles (radians) about x, then y, then z."""
    cx, sx, cy, sy, cz, sz = (f(a) for a in (x, y, z) for f in (math.cos, math.sin))
    about_x = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1.0]])
    return about_z @ about_y @ about_x


@dataclass(frozen=True)
class Solid:
    """A distance field with a sphere (centre (3, 1), radius) that holds its inside."""

    distance: Field
    center: Tensor
    radius: float


@dataclass(frozen=True)
class Part:
    """A painted solid. `fuzz` roughens its surface and `bump` its normals (both in object units, 0 = smooth)."""

    solid: Solid
    paint: Paint
    fuzz: float = 0.0
    bump: float = 0.0


def ellipsoid(center: Vector, radii: Vector, turn: Tensor | None = None) -> Solid:
    """Ellipsoid of half-axes `radii`, its axes turned by the rotation matrix `turn`."""
    middle, size = column(center), column(radii)

    def distance(points: Tensor) -> Tensor:
        local = points - middle
        if turn is not None:
            local = turn.T @ local
        scaled = local / size
        near = length(scaled)
        return near * (near - 1.0) / length(scaled / size).clamp(min=1e-6)

    return Solid(distance, middle, float(size.max()))


def limb(start: Vector, end: Vector, start_radius: float, end_radius: float) -> Solid:
    """Capsule from `start` to `end` whose radius changes linearly."""
    a, axis = column(start), column(end) - column(start)
    squared = float((axis * axis).sum())

    def distance(points: Tensor) -> Tensor:
        local = points - a
        along = ((axis * local).sum(0) / squared).clamp(0.0, 1.0)
        return length(local - axis * along) - (start_radius + (end_radius - start_radius) * along)

    return Solid(distance, a + axis / 2, math.sqrt(squared) / 2 + max(start_radius, end_radius))


@dataclass(frozen=True)
class Limb:
    """An arm or leg: its solid, the line it follows and the direction in which its paw points."""

    solid: Solid
    start: Tensor
    end: Tensor
    toe: Tensor  # (3, 1) unit
    paw: Solid
    length: float

    def along(self, points: Tensor) -> Tensor:
        """Position (n,) on the straight line from joint (0) to paw (1)."""
        axis = self.end - self.start
        return (axis * (points - self.start)).sum(0) / float((axis * axis).sum())


def torus(center: Vector, ring: float, tube: float, turn: Tensor | None = None, squash: float = 1.0) -> Solid:
    """Torus about the (turned) y axis; `squash` < 1 flattens the tube along that axis."""
    middle = column(center)

    def distance(points: Tensor) -> Tensor:
        x, y, z = points - middle if turn is None else turn.T @ (points - middle)
        return (((x * x + z * z).sqrt() - ring).square() + (y / squash).square()).sqrt().sub(tube) * min(squash, 1.0)

    return Solid(distance, middle, ring + tube * max(squash, 1.0))


def box(center: Vector, half: Vector, rounding: float, turn: Tensor | None = None) -> Solid:
    """Box of half-sides `half` (rounding included)."""
    middle, inner = column(center), column(half) - rounding

    def distance(points: Tensor) -> Tensor:
        local = points - middle if turn is None else turn.T @ (points - middle)
        outside = local.abs() - inner
        return length(outside.clamp(min=0)) + outside.amax(0).clamp(max=0) - rounding

    return Solid(distance, middle, float(length(column(half))))


def cylinder(start: Vector, end: Vector, radius: float, rounding: float = 0.01, sides: int = 0) -> Solid:
    """Cylinder from `start` to `end` with rounded rims; `sides` >= 3 makes it a prism (a nut)."""
    a, axis = column(start), column(end) - column(start)
    half = float(length(axis)) / 2
    axis, middle = axis / (2 * half), a + axis / 2
    across = column([0.0, 0.0, 1.0]) if abs(float(axis[2])) < 0.9 else column([0.0, 1.0, 0.0])
    first = torch.linalg.cross(axis, across, dim=0)
    first = first / length(first)
    second = torch.linalg.cross(axis, first, dim=0)

    def distance(points: Tensor) -> Tensor:
        local = points - middle
        along = (axis * local).sum(0)
        u, v = (first * local).sum(0), (second * local).sum(0)
        radial = (u * u + v * v).sqrt()
        if sides:
            sector = 2 * math.pi / sides
            angle = torch.remainder(torch.atan2(v, u), sector) - sector / 2
            radial = radial * angle.cos()
        out = torch.stack((radial - radius + rounding, along.abs() - half + rounding))
        return length(out.clamp(min=0)) + out.amax(0).clamp(max=0) - rounding

    reach = radius / math.cos(math.pi / sides) if sides else radius
    return Solid(distance, middle, math.hypot(half, reach))


def union(blend: float, *solids: Solid) -> Solid:
    """Union of solids whose joints are rounded over the length `blend` (> 0)."""
    center = torch.stack([s.center for s in solids]).mean(0)
    radius = max(float(length(s.center - center)) + s.radius for s in solids)

    def distance(points: Tensor) -> Tensor:
        total = solids[0].distance(points)
        for solid in solids[1:]:
            other = solid.distance(points)
            mix = (blend - (total - other).abs()).clamp(min=0) / blend
            total = torch.minimum(total, other) - mix * mix * (blend / 4)
        return total

    return Solid(distance, center, radius + blend / 4)


def grown(solid: Solid, thickness: float | Field, keep: Field, limit: float = 0.0) -> Solid:
    """`solid` thickened by a constant or a field, cut to where `keep` is negative: clothes, icing, bands.

    limit: the most that a field thickens.
    """
    most = limit if callable(thickness) else thickness

    def distance(points: Tensor) -> Tensor:
        extra = thickness(points) if callable(thickness) else thickness
        return torch.maximum(solid.distance(points) - extra, keep(points))

    return Solid(distance, solid.center, solid.radius + most)


def carved(solid: Solid, tool: Solid) -> Solid:
    """`solid` without what lies inside `tool`."""
    return Solid(lambda p: torch.maximum(solid.distance(p), -tool.distance(p)), solid.center, solid.radius)


def nearest(parts: Sequence[Part], points: Tensor) -> tuple[Tensor, Tensor]:
    """Distance (n,) to the union of the parts, and the index (n,) of the nearest part."""
    best = torch.full((points.shape[1],), torch.inf)
    index = torch.zeros(points.shape[1], dtype=torch.long)
    for number in sorted(range(len(parts)), key=lambda i: -parts[i].solid.radius):
        solid = parts[number].solid
        near = (length(points - solid.center) - solid.radius < best).nonzero()[:, 0]
        if not len(near):
            continue
        here = solid.distance(points[:, near])
        closer = here < best[near]
        chosen = near[closer]
        best[chosen] = here[closer]
        index[chosen] = number
    return best, index


@dataclass(frozen=True)
class Grid:
    """Values (1, c, z, y, x) at nodes `origin + cell * (x, y, z)`; distances outside the box continue its border."""

    values: Tensor
    origin: Tensor
    cell: float

    def sample(self, points: Tensor) -> Tensor:
        """Trilinear interpolation at (3, n): (c, n)."""
        count = torch.tensor(self.values.shape[:1:-1]).reshape(3, 1)
        place = ((points - self.origin) * (2 / self.cell) / (count - 1) - 1).T.reshape(1, 1, 1, -1, 3)
        return F.grid_sample(self.values, place, padding_mode="border", align_corners=True)[0, :, 0, 0]

    def nodes(self) -> Tensor:
        """Positions (3, z*y*x) of the nodes in storage order."""
        axes = [torch.arange(n, dtype=torch.float32) for n in self.values.shape[2:]]
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        return torch.stack((x, y, z)).reshape(3, -1) * self.cell + self.origin


def distance_grid(parts: Sequence[Part], cells: int, fuzz: Callable[[Tensor], Tensor]) -> Grid:
    """Distances on a grid with `cells` cells along the longest side; exact within three cells of the surface.

    `fuzz(points) -> (n,)` in [-1, 1] is added to the surface, scaled by each part's own `fuzz`.
    """
    low = torch.stack([p.solid.center - p.solid.radius for p in parts]).amin(0)
    high = torch.stack([p.solid.center + p.solid.radius for p in parts]).amax(0)
    rough = _empty(low, high, float((high - low).max()) / 40)
    values = nearest(parts, rough.nodes())[0].reshape(rough.values.shape)
    inside = rough.nodes()[:, values.flatten() < rough.cell]
    low, high = inside.amin(1, keepdim=True) - rough.cell / 2, inside.amax(1, keepdim=True) + rough.cell / 2
    rough = Grid(values, rough.origin, rough.cell)
    fine = _empty(low, high, float((high - low).max()) / cells)
    nodes = fine.nodes()
    flat = rough.sample(nodes)[0]
    near = (flat.abs() < 3 * fine.cell + rough.cell).nonzero()[:, 0]
    exact, index = nearest(parts, nodes[:, near])
    amount = torch.tensor([p.fuzz for p in parts])[index]
    band = (exact.abs() < 3 * fine.cell) & (amount > 0)
    exact[band] -= amount[band] * fuzz(nodes[:, near[band]])
    flat[near] = exact
    return Grid(_one_piece(flat.reshape(fine.values.shape)), fine.origin, fine.cell)


def _one_piece(values: Tensor) -> Tensor:
    """Fill pockets closed off from outside, and drop specks: one outside, one inside."""
    flat = values.flatten()
    for sign in (1, -1):
        labels = torch.from_numpy(label((sign * values[0, 0] > 0).numpy(), connectivity=1)).flatten()
        keep = torch.bincount(labels)[1:].argmax() + 1
        stray = (labels != 0) & (labels != keep)
        flat[stray] = -flat[stray]
    return flat.reshape(values.shape)


def _empty(low: Tensor, high: Tensor, cell: float, pad: int = 3) -> Grid:
    count = ((high - low) / cell).ceil().long().flatten() + 1 + 2 * pad
    return Grid(torch.empty(1, 1, *count.flip(0).tolist()), low - pad * cell, cell)
