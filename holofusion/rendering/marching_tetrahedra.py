"""A tetrahedral grid, and differentiable marching tetrahedra on it (DMTet, Shen et al. 2021; GET3D's surface)."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor, nn

EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))  # corners of a tetrahedron's six edges
OUTSIDE = 0.1  # cells: least signed distance at the border of a grid


def tetrahedral_grid(cells: int) -> tuple[Tensor, Tensor]:
    """The cube [-1, 1]^3 in cells^3 cubes of six tetrahedra each: vertices ((cells + 1)^3, 3) and corners (6 cells^3, 4).

    Each tetrahedron walks from a cube's lowest corner to its highest, one axis at a time (Kuhn's division), so that
    neighbours share whole faces. Corners are ordered to positive volume.
    """
    side = cells + 1
    axis = torch.linspace(-1, 1, side)
    vertices = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    low = torch.arange(cells)
    x, y, z = torch.meshgrid(low, low, low, indexing="ij")
    corner = (x * side + y) * side + z
    strides, corners = (side**2, side, 1), []
    for order in permutations(range(3)):
        steps = [0, strides[order[0]], strides[order[0]] + strides[order[1]], sum(strides)]
        if _odd(order):
            steps[1], steps[2] = steps[2], steps[1]
        corners.append(torch.stack([corner.flatten() + step for step in steps], -1))
    return vertices, torch.cat(corners)


class TetrahedralGrid(nn.Module):
    """The cube [-extent, extent]^3 in cells^3 cubes of six tetrahedra, whose vertices may be moved.

    vertices (V, 3) and `cell`, the side of a cube, in world units; tetrahedra (T, 4); border (V,) bool: on the cube's faces.
    """

    vertices: Tensor
    tetrahedra: Tensor
    border: Tensor

    def __init__(self, cells: int, extent: float) -> None:
        super().__init__()
        vertices, tetrahedra = tetrahedral_grid(cells)
        self.cell = 2 * extent / cells
        self.register_buffer("vertices", vertices * extent, persistent=False)
        self.register_buffer("tetrahedra", tetrahedra, persistent=False)
        self.register_buffer("border", vertices.abs().amax(1) > 1 - 1e-4, persistent=False)

    def moved(self, deformation: Tensor) -> Tensor:
        """The vertices, each moved along every axis by less than half a cell, for any deformation (..., V, 3)."""
        return self.vertices + 0.5 * self.cell * torch.tanh(deformation)

    def closed(self, distance: Tensor) -> Tensor:
        """Signed distances (..., V) in cells, negative inside, but none at the border is: surfaces are closed."""
        return torch.where(self.border, distance.clamp_min(OUTSIDE), distance)


def _odd(order: tuple[int, ...]) -> bool:
    return sum(a > b for i, a in enumerate(order) for b in order[i + 1 :]) % 2 == 1


def _triangles(code: int) -> list[tuple[int, int, int]]:
    """Triangles of one sign pattern, as edge numbers, turned outwards. Bit i of `code`: corner i is inside."""
    inside = [i for i in range(4) if code >> i & 1]
    outside = [i for i in range(4) if not code >> i & 1]

    def edge(a: int, b: int) -> int:
        return EDGES.index((min(a, b), max(a, b)))

    if len(inside) in (1, 3):
        alone, others = (inside[0], outside) if len(inside) == 1 else (outside[0], inside)
        if _odd((alone, *others)) == (len(inside) == 1):
            others = [others[0], others[2], others[1]]
        first, second, third = (edge(alone, other) for other in others)
        return [(first, second, third)]
    if len(inside) == 2:
        (a, b), (c, d) = inside, outside
        if _odd((a, b, c, d)):
            c, d = d, c
        return [(edge(a, c), edge(a, d), edge(b, d)), (edge(a, c), edge(b, d), edge(b, c))]
    return []


TRIANGLES = [_triangles(code) for code in range(16)]


def marching_tetrahedra(vertices: Tensor, sdf: Tensor, tetrahedra: Tensor) -> tuple[Tensor, Tensor]:
    """The surface sdf = 0 of values at vertices: sdf (V,) < 0 inside, vertices (V, 3), tetrahedra (T, 4).

    Returns vertices (M, 3), with gradients to `vertices` and `sdf`, and faces (F, 3), their normals pointing outwards.
    Both are empty where no sign changes. Closed where the surface stays off the grid's border.
    """
    inside = sdf < 0
    code = (inside[tetrahedra].long() * 2 ** torch.arange(4, device=sdf.device)).sum(1)
    # places of a mask are looked up once, and codes counted once: a GPU is waited for each time
    cut = ((code > 0) & (code < 15)).nonzero().squeeze(1)
    tetrahedra, code = tetrahedra[cut], code[cut]
    pairs = tetrahedra[:, torch.tensor(EDGES).to(sdf.device, non_blocking=True)].sort(-1).values
    crossing = inside[pairs[..., 0]] != inside[pairs[..., 1]]
    key = pairs[..., 0] * len(sdf) + pairs[..., 1]
    edges = crossing.nonzero(as_tuple=True)
    unique, place = torch.unique(key[edges], return_inverse=True)
    number = torch.full(key.shape, -1, dtype=torch.long, device=sdf.device)
    number[edges] = place
    first, second = torch.div(unique, len(sdf), rounding_mode="floor"), unique % len(sdf)
    share = sdf[first] / (sdf[first] - sdf[second])
    surface = vertices[first] + share[:, None] * (vertices[second] - vertices[first])
    of_code = number[code.argsort(stable=True)].split(torch.bincount(code, minlength=len(TRIANGLES)).tolist())
    faces = [
        torch.stack([part[:, corner] for corner in triangle], 1)
        for part, triangles in zip(of_code, TRIANGLES, strict=True)
        for triangle in triangles
    ]
    return surface, torch.cat(faces)
