"""Surfaces of densities: marching cubes, the level that looks like the render, and colours as seen from in front."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
import trimesh
from scipy.ndimage import binary_fill_holes
from skimage.measure import marching_cubes
from torch import Tensor

from holofusion.meshing.mesh import Mesh
from holofusion.rendering.volume import absorption_weights

POINTS_AT_ONCE = 65536
LEVELS = 24  # tried by silhouette_level
COLOUR_DEPTH, COLOUR_STEPS = 0.1, 16  # how deep colours are looked for, share of the extent, and in how many steps


class Coloured(Protocol):
    """What has a colour (N, 3) in [0, 1] at points (N, 3)."""

    def colour(self, points: Tensor) -> Tensor: ...


class Solid(Coloured, Protocol):
    """What has a surface: also density (N,) per world unit at points (N, 3)."""

    def density(self, points: Tensor) -> Tensor: ...


@torch.no_grad()
def surface_mesh(
    solid: Solid, resolution: int, level: float | None, extent: float, device: torch.device | str = "cpu"
) -> Mesh:
    """The coloured surface of a solid that lies on `device`; a mesh without faces where there is none.

    Density is sampled at resolution^3 points from face to face of the cube [-extent, extent]^3; the surface is where it
    equals `level` (per world unit; None: `silhouette_level`), closed where the cube cuts it.
    """
    density = density_grid(solid, resolution, extent, device)
    level = silhouette_level(density, extent) if level is None else level
    vertices, faces = surface_of(density, level, extent)
    colours = np.zeros((len(vertices), 3), np.uint8)
    if len(faces):
        colours = colour_bytes(surface_colours(solid, vertices, faces, COLOUR_DEPTH * extent, device))
    return Mesh(vertices, faces, colours, level)


@torch.no_grad()
def colours_at(coloured: Coloured, vertices: np.ndarray, device: torch.device | str) -> Tensor:
    """Colours (M, 3) at vertices (M, 3), as they are there."""
    points = torch.tensor(vertices, dtype=torch.float32, device=device)
    return torch.cat([coloured.colour(part) for part in points.split(POINTS_AT_ONCE)]).float().cpu()


def colour_bytes(colours: Tensor) -> np.ndarray:
    """Colours (M, 3) in [0, 1] as uint8."""
    return (colours.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def surface_colours(
    solid: Solid, vertices: np.ndarray, faces: np.ndarray, reach: float, device: torch.device | str
) -> Tensor:
    """Colours (M, 3) of the vertices as seen from straight in front: absorbed from `reach` before to `reach` behind them.

    In fog these are the colours of its rim, which hardly shows.
    """
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    depths = ((torch.arange(COLOUR_STEPS) + 0.5) / COLOUR_STEPS * 2 - 1) * reach
    colours = []
    frame = torch.tensor(np.stack([mesh.vertices, mesh.vertex_normals], 1), dtype=torch.float32)
    for places, normals in (part.unbind(1) for part in frame.split(POINTS_AT_ONCE // COLOUR_STEPS)):
        points = (places[:, None] - depths[:, None] * normals[:, None]).flatten(0, 1).to(device)
        opacity = 1 - torch.exp(-solid.density(points).float().reshape(-1, COLOUR_STEPS) * 2 * reach / COLOUR_STEPS)
        weights = absorption_weights(opacity) + 1e-6
        seen = solid.colour(points).float().reshape(-1, COLOUR_STEPS, 3)
        colours.append(((weights[..., None] * seen).sum(1) / weights.sum(1, keepdim=True)).cpu())
    return torch.cat(colours)


def density_grid(solid: Solid, resolution: int, extent: float, device: torch.device | str) -> np.ndarray:
    """Density (n, n, n), axes z, y, x, at points from -extent to extent inclusive."""
    axis = torch.linspace(-extent, extent, resolution)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1).reshape(-1, 3)
    parts = [solid.density(part.to(device)).float().cpu() for part in points.split(POINTS_AT_ONCE)]
    return torch.cat(parts).reshape(x.shape).numpy()


def silhouette_level(density: np.ndarray, extent: float) -> float:
    """The level whose surface looks like the render: it covers, along the three axes, the rays that lose half their light.

    No one level suits all scenes: some are fog that is opaque by its depth, others are hard. Tried are levels at which
    light is halved on the way through the cube, through one cell, and between; the best by intersection over union
    is taken. Where no ray loses half its light it is the highest density, which no surface encloses.
    """
    cell = 2 * extent / (len(density) - 1)
    opaque = np.stack([density.sum(axis) * cell > math.log(2) for axis in range(3)])
    if not opaque.any():
        return float(density.max())
    highest = np.stack([density.max(axis) for axis in range(3)])
    levels = np.geomspace(math.log(2) / (2 * extent), math.log(2) / cell, LEVELS)
    overlap = [(opaque & (highest > level)).sum() / (opaque | (highest > level)).sum() for level in levels]
    best = np.flatnonzero(np.equal(overlap, max(overlap)))
    return float(levels[best[len(best) // 2]])  # of equally good ones, that in the middle


def surface_of(density: np.ndarray, level: float, extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (M, 3) float32 as x, y, z and faces (F, 3), outwards, around density (n, n, n) of axes z, y, x > level.

    Cavities are filled: no view tells what is inside an opaque object, and their walls would count as pieces.
    """
    padded = np.pad(density, 1)  # empty space around the cube closes the surface at its faces
    dense = padded > level
    if not dense.any():
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), int)
    padded[binary_fill_holes(dense) & ~dense] = padded.max()
    vertices, faces, _, _ = marching_cubes(padded, level)
    cell = 2 * extent / (len(density) - 1)
    # swapping z, y, x to x, y, z mirrors the faces, which marching_cubes has facing inwards around high values
    vertices = (vertices[:, ::-1] - 1) * cell - extent
    return vertices.clip(-extent, extent).astype(np.float32), faces
