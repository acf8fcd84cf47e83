"""Meshes of finished scenes, one shard at a time."""

from __future__ import annotations

from holofusion.config.steps import MeshSettings
from holofusion.meshing.mesh import pieces
from holofusion.pipeline.job import Job
from holofusion.pipeline.paths import scene_name
from holofusion.scenes.files import load_scene
from holofusion.utils.files import UserError, reading, replacing, write_json
from holofusion.utils.progress import Progress


def run(job: Job[MeshSettings]) -> None:
    """Write the mesh of every scene of a shard: <seed>.ply and .glb (neither for an empty one), meshes.json, to `job.out`.

    Raises UserError if `samples` holds no scenes.
    """
    settings, samples = job.settings.mesh, job.path("samples")
    folders = sorted(path.parent for path in samples.glob("*/scene.json"))
    if not folders:
        raise UserError(f"{samples}: no scenes here (expected <seed>/scene.json)")
    progress, entries = Progress(f"mesh {job.run.method}", len(folders)), []
    with replacing(job.out) as temporary:
        temporary.mkdir()
        for folder in folders:
            scene, facts = load_scene(folder, job.device)
            with reading(folder / "scene.json"):
                seed = int(facts["seed"])
            mesh = scene.surface(settings.resolution, settings.level)
            if mesh is None:
                raise UserError(f"{folder}: a scene of kind {scene.kind!r} has no surface")
            if len(mesh.faces):
                (temporary / f"{scene_name(seed)}.ply").write_bytes(mesh.ply())
                (temporary / f"{scene_name(seed)}.glb").write_bytes(mesh.glb())
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
                "scenes": entries,
            },
        )
