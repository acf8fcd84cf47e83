"""Scenes as triangle meshes with vertex colours, in PLY and GLB files.

World units, y up, faces counter-clockwise seen from outside. PLY holds the colours as they are seen (sRGB, 8 bit), as
its readers expect. GLB holds them linear in COLOR_0, as glTF demands, with an unlit material: they carry their shading.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import torch
import trimesh
from scipy.ndimage import binary_fill_holes
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes
from torch import Tensor

from holofusion.pipeline.paths import scene_name
from holofusion.rendering.volume import absorption_weights
from holofusion.scenes.voxel import load_scene
from holofusion.utils.files import UserError, replacing, write_json
from holofusion.utils.progress import Progress

POINTS_AT_ONCE = 65536
LEVELS = 24  # tried by silhouette_level
REACH, MARCH = 0.1, 16  # how deep colours are looked for, share of the extent, and in how many steps


@torch.no_grad()
def extract(
    scene, resolution: int, level: float | None, extent: float, device: torch.device | str = "cpu"
) -> trimesh.Trimesh:
    """The surface of a scene that lies on `device`, with vertex colours; a mesh without faces where there is none.

    Density is sampled at resolution^3 points from face to face of the cube [-extent, extent]^3; the surface is where it
    equals `level` (per world unit; None: `silhouette_level`), closed where the cube cuts it. A scene without density
    gives its own mesh. `metadata` of the result holds the level.
    """
    if scene.density(torch.zeros((1, 3), device=device)) is None:
        vertices, faces = (part.cpu().numpy() for part in scene.mesh())
        level = None
    else:
        density = density_grid(scene, resolution, extent, device)
        level = silhouette_level(density, extent) if level is None else level
        vertices, faces = surface_of(density, level, extent)
    mesh = trimesh.Trimesh(vertices, faces, process=False, metadata={"level": level})
    if len(faces):
        colours = surface_colours(scene, mesh, REACH * extent if level else 0.0, device)
        mesh.visual.vertex_colors = (colours.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return mesh


def surface_colours(scene, mesh: trimesh.Trimesh, reach: float, device: torch.device | str) -> Tensor:
    """Colours (M, 3) of the vertices as seen from straight in front: absorbed from `reach` before to `reach` behind them.

    With reach 0, the colours at the vertices. In fog these are the colours of its rim, which hardly shows.
    """
    if not reach:
        vertices = torch.tensor(mesh.vertices, dtype=torch.float32, device=device)
        return torch.cat([scene.colour(part) for part in vertices.split(POINTS_AT_ONCE)]).float().cpu()
    depths = ((torch.arange(MARCH) + 0.5) / MARCH * 2 - 1) * reach
    found = []
    frame = torch.tensor(np.stack([mesh.vertices, mesh.vertex_normals], 1), dtype=torch.float32)
    for vertices, normals in (part.unbind(1) for part in frame.split(POINTS_AT_ONCE // MARCH)):
        points = (vertices[:, None] - depths[:, None] * normals[:, None]).flatten(0, 1).to(device)
        opacity = 1 - torch.exp(-scene.density(points).float().reshape(-1, MARCH) * 2 * reach / MARCH)
        weights = absorption_weights(opacity) + 1e-6
        colours = scene.colour(points).float().reshape(-1, MARCH, 3)
        found.append(((weights[..., None] * colours).sum(1) / weights.sum(1, keepdim=True)).cpu())
    return torch.cat(found)


def density_grid(scene, resolution: int, extent: float, device: torch.device | str) -> np.ndarray:
    """Density (n, n, n), axes z, y, x, at points from -extent to extent inclusive."""
    axis = torch.linspace(-extent, extent, resolution)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1).reshape(-1, 3)
    parts = [scene.density(part.to(device)).float().cpu() for part in points.split(POINTS_AT_ONCE)]
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
    agreement = [(opaque & (highest > level)).sum() / (opaque | (highest > level)).sum() for level in levels]
    best = np.flatnonzero(np.equal(agreement, max(agreement)))
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


def pieces(mesh: trimesh.Trimesh) -> tuple[int, float]:
    """Number of connected pieces of a mesh, and the share of its area outside the largest of them."""
    if not len(mesh.faces):
        return 0, 0.0
    first, others = mesh.faces[:, [0, 0]].ravel(), mesh.faces[:, 1:].ravel()
    joined = coo_array((np.ones(len(first), bool), (first, others)), shape=(len(mesh.vertices),) * 2)
    piece = connected_components(joined, directed=False)[1][mesh.faces[:, 0]]
    areas = np.bincount(piece, mesh.area_faces)
    return len(np.unique(piece)), float(1 - areas.max() / areas.sum())


def glb(mesh: trimesh.Trimesh) -> bytes:
    """The mesh, which has faces, as binary glTF 2.0. Written here since trimesh rounds linear colours to 8 bit."""
    seen = mesh.visual.vertex_colors / 255
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)
    linear[:, 3] = 1
    columns = (mesh.vertices.astype("<f4"), (linear * 65535).round().astype("<u2"), mesh.faces.astype("<u4"))
    sizes = [column.nbytes for column in columns]
    content = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1},
                "extensions": {"KHR_materials_unlit": {}},
            }
        ],
        "extensionsUsed": ["KHR_materials_unlit"],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "type": "VEC3",
                "count": len(columns[0]),
                "min": columns[0].min(0).tolist(),
                "max": columns[0].max(0).tolist(),
            },
            {"bufferView": 1, "componentType": 5123, "normalized": True, "type": "VEC4", "count": len(columns[1])},
            {"bufferView": 2, "componentType": 5125, "type": "SCALAR", "count": columns[2].size},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": sum(sizes[:index]), "byteLength": size, "target": target}
            for index, (size, target) in enumerate(zip(sizes, (34962, 34962, 34963), strict=True))
        ],
        "buffers": [{"byteLength": sum(sizes)}],
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(column.tobytes() for column in columns)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def run_mesh(resolved, samples: Path, out: Path, device: torch.device) -> None:
    """Write the mesh of every scene of a shard: out/<seed>.ply and .glb (neither for an empty one), out/meshes.json.

    Raises UserError if `samples` holds no scenes.
    """
    settings = resolved.settings.mesh
    folders = sorted(path.parent for path in samples.glob("*/scene.json"))
    if not folders:
        raise UserError(f"{samples}: no scenes here (expected <seed>/scene.json)")
    progress, entries = Progress(f"mesh {resolved.method}", len(folders)), []
    with replacing(out) as temporary:
        temporary.mkdir()
        for folder in folders:
            scene, facts = load_scene(folder, device)
            extent = facts["settings"]["volume"]["extent"]
            mesh = extract(scene, settings.resolution, settings.level, extent, device)
            if len(mesh.faces):
                ply = trimesh.exchange.ply.export_ply(mesh, vertex_normal=False)
                (temporary / f"{scene_name(facts['seed'])}.ply").write_bytes(ply)
                (temporary / f"{scene_name(facts['seed'])}.glb").write_bytes(glb(mesh))
            components, floaters = pieces(mesh)
            entries.append(
                {
                    "seed": facts["seed"],
                    "vertices": len(mesh.vertices),
                    "faces": len(mesh.faces),
                    "level": mesh.metadata["level"],
                    "components": components,
                    "floaters": floaters,
                    "watertight": bool(mesh.is_watertight),
                }
            )
            progress.advance()
        write_json(
            temporary / "meshes.json",
            {
                "run": resolved.name,
                "config_hash": resolved.hash,
                "level": settings.level,
                "resolution": settings.resolution,
                "scenes": entries,
            },
        )
