"""Meshes of finished scenes, one shard at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holofusion.cameras import Cameras
from holofusion.cameras.spread import spread_cameras
from holofusion.config.evaluation import MeshFiles
from holofusion.config.steps import MeshSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.meshing.mesh import Mesh, open_edges, pieces
from holofusion.meshing.points import chamfer_distances, surface_points
from holofusion.pipeline.job import Job
from holofusion.pipeline.paths import scene_name
from holofusion.scenes.files import load_scene
from holofusion.utils.files import UserError, reading, replacing, write_json
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for

OUTLINE_CAMERAS = 12
DEPARTURE_POINTS = 4096


def run(job: Job[MeshSettings]) -> None:
    """Write the surface of every scene of a shard to `job.out`: <seed>.ply as it was found, in world units, <seed>.glb (and
    .obj with .mtl and .png) as others open it; none of these for an empty one; and what there is to say of both, meshes.json.

    Raises UserError if `samples` holds no scenes.
    """
    settings, samples = job.settings.mesh, job.path("samples")
    folders = sorted(path.parent for path in samples.glob("*/scene.json"))
    if not folders:
        raise UserError(f"{samples}: no scenes here (expected <seed>/scene.json)")
    cameras = outline_cameras(PreparedCategory.load(job.path("data")))
    progress, entries = Progress(f"mesh {job.run.method}", len(folders)), []
    with replacing(job.out) as temporary:
        temporary.mkdir()
        for folder in folders:
            scene, facts = load_scene(folder, job.device)
            with reading(folder / "scene.json"):
                seed = int(facts["seed"])
            mesh = scene.surface(settings.resolution, settings.level, cameras)
            if mesh is None:
                raise UserError(f"{folder}: a scene of kind {scene.kind!r} has no surface")
            components, floaters = pieces(mesh.trimesh())
            entries.append(
                {
                    "seed": seed,
                    "vertices": len(mesh.vertices),
                    "faces": len(mesh.faces),
                    "level": mesh.level,
                    "components": components,
                    "floaters": floaters,
                    "watertight": bool(mesh.trimesh().is_watertight),
                    "file": write_files(mesh, job.settings.mesh_files, temporary, scene_name(seed))
                    if len(mesh.faces)
                    else None,
                }
            )
            progress.advance()
        write_json(
            temporary / "meshes.json",
            {
                "run": job.run.name,
                "config_hash": job.resolved.hash,
                "level": settings.level,
                "resolution": settings.resolution,
                "length": job.settings.mesh_files.length,
                "scenes": entries,
            },
        )


def outline_cameras(data: PreparedCategory) -> Cameras:
    """Cameras of training photographs, all round, from which a surface is compared with renders: the same for all scenes."""
    rows = [row for name in data.train for row in data.frames[name]]
    return spread_cameras(data.cameras[rows], OUTLINE_CAMERAS, generator_for("outline cameras"))


def write_files(mesh: Mesh, files: MeshFiles, folder: Path, stem: str) -> dict[str, Any]:
    """Write one surface below the folder; return the facts of what other programs open.

    center, unit: a point of the file is at center + unit times itself in world units.
    outline_iou: of its silhouettes with the outlines of the renders; departure: its Chamfer distance from the surface as
    it was found, world units; bytes: of the GLB file.
    """
    (folder / f"{stem}.ply").write_bytes(mesh.ply())
    textured = mesh.textured(files.faces, files.texture)
    shown = textured if files.length is None else textured.scaled(files.length)
    shown.export(folder / f"{stem}.glb")
    if files.obj:
        shown.export(folder / f"{stem}.obj")
    surface, outlines = textured.trimesh(), mesh.outlines
    low, high = surface.bounds.astype(float)
    points = [surface_points(each, DEPARTURE_POINTS, "departure", stem) for each in (surface, mesh.trimesh())]
    overlap = None
    if outlines is not None:
        views = textured.render(outlines.cameras, outlines.opaque.shape[1])
        overlap = outlines.overlap(views.alpha[:, 0].numpy() > 0.5)
    return {
        "center": [0.0] * 3 if files.length is None else ((low + high) / 2).tolist(),
        "unit": 1.0 if files.length is None else float((high - low).max()) / files.length,
        "faces": len(textured.faces),
        "components": pieces(surface)[0],
        "open_edges": open_edges(surface),
        "watertight": bool(surface.is_watertight),
        "bytes": (folder / f"{stem}.glb").stat().st_size,
        "outline_iou": overlap,
        "departure": float(chamfer_distances(points[:1], points[1:])[0, 0]),
    }
