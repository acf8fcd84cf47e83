"""Surfaces of densities: marching cubes, and colours as seen from in front."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np
import torch
import trimesh
from scipy.ndimage import binary_fill_holes
from skimage.measure import marching_cubes
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.meshing.atlas import colour_bytes
from holofusion.meshing.level import level_by_axes, level_by_outlines
from holofusion.meshing.mesh import Mesh, Outlines
from holofusion.rendering.views import Views
from holofusion.rendering.volume import absorption_weights

POINTS_AT_ONCE = 65536
COLOUR_DEPTH, COLOUR_STEPS = 0.1, 16  # how deep colours are looked for, share of the extent, and in how many steps
LEAST_SHARE = 0.01  # of the light: a step that adds less is not asked for its colour
OUTLINE_SIZE = 64  # px, of the renders whose outlines a surface is matched with


class Coloured(Protocol):
    """What has a colour (N, 3) in [0, 1] at points (N, 3)."""

    def colour(self, points: Tensor) -> Tensor: ...


class Shown(Protocol):
    """What can be rendered, like a `Scene`."""

    def render(self, cameras: Cameras, size: int) -> Views: ...


class Solid(Coloured, Shown, Protocol):
    """What has a surface: also density (N,) per world unit at points (N, 3)."""

    def density(self, points: Tensor) -> Tensor: ...


def outlines_of(shown: Shown, cameras: Cameras, device: torch.device | str) -> Outlines:
    """Which pixels of the renders from these cameras lose more than half of their light."""
    alpha = shown.render(cameras.to(device), OUTLINE_SIZE).alpha[:, 0]
    return Outlines(cameras, (alpha > 0.5).cpu().numpy())


@torch.no_grad()
def surface_mesh(
    solid: Solid,
    resolution: int,
    level: float | None,
    extent: float,
    device: torch.device | str = "cpu",
    cameras: Cameras | None = None,
) -> Mesh:
    """The coloured surface of a solid that lies on `device`; a mesh without faces where there is none.

    Density is sampled at resolution^3 points from face to face of the cube [-extent, extent]^3; the surface is where it
    equals `level` (per world unit; None: `level_by_outlines` of the renders from `cameras`, without any `level_by_axes`),
    closed where the cube cuts it.
    """
    outlines = None if cameras is None else outlines_of(solid, cameras, device)
    density = density_grid(solid, resolution, extent, device)
    if level is None:
        level = level_by_axes(density, extent) if outlines is None else level_by_outlines(density, extent, outlines)
    vertices, faces = surface_of(density, level, extent)
    paint, colours = partial(seen_colours, solid, COLOUR_DEPTH * extent, device), np.zeros((len(vertices), 3), np.uint8)
    if len(faces):
        normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
        colours = colour_bytes(paint(*(torch.tensor(part, dtype=torch.float32) for part in (vertices, normals))))
    return Mesh(vertices, faces, colours, paint, level, outlines)


@torch.no_grad()
def colours_at(coloured: Coloured, device: torch.device | str, points: Tensor, normals: Tensor) -> Tensor:
    """Colours (N, 3) at points (N, 3), as they are there, whatever the normals."""
    return torch.cat([coloured.colour(part.to(device)).float().cpu() for part in points.split(POINTS_AT_ONCE)])


@torch.no_grad()
def seen_colours(solid: Solid, reach: float, device: torch.device | str, points: Tensor, normals: Tensor) -> Tensor:
    """Colours (N, 3) of points (N, 3) with outward unit normals (N, 3) of a surface, as seen from straight in front: absorbed
    from `reach` before to `reach` behind them.

    In fog these are the colours of its rim, which hardly shows.
    """
    depths = ((torch.arange(COLOUR_STEPS) + 0.5) / COLOUR_STEPS * 2 - 1) * reach
    colours = [torch.zeros(0, 3)]
    for places, outwards in zip(
        *(part.split(POINTS_AT_ONCE // COLOUR_STEPS) for part in (points, normals)), strict=True
    ):
        along = (places[:, None] - depths[:, None] * outwards[:, None]).flatten(0, 1).to(device)
        opacity = 1 - torch.exp(-solid.density(along).float().reshape(-1, COLOUR_STEPS) * 2 * reach / COLOUR_STEPS)
        weights = absorption_weights(opacity) + 1e-6
        weights = weights / weights.sum(1, keepdim=True)
        weights = torch.where(weights < LEAST_SHARE, torch.zeros_like(weights), weights).flatten()
        there = weights > 0
        seen = torch.zeros(len(along), 3, device=weights.device)
        seen[there] = weights[there, None] * solid.colour(along[there]).float()
        total = weights.reshape(-1, COLOUR_STEPS).sum(1, keepdim=True)
        colours.append((seen.reshape(-1, COLOUR_STEPS, 3).sum(1) / total).cpu())
    return torch.cat(colours)


def density_grid(solid: Solid, resolution: int, extent: float, device: torch.device | str) -> np.ndarray:
    """Density (n, n, n), axes z, y, x, at points from -extent to extent inclusive."""
    axis = torch.linspace(-extent, extent, resolution)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1).reshape(-1, 3)
    parts = [solid.density(part.to(device)).float().cpu() for part in points.split(POINTS_AT_ONCE)]
    return torch.cat(parts).reshape(x.shape).numpy()


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
