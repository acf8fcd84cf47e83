"""Pictures of finished scenes, one shard at a time: everything that is scored or shown later is written here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from holofusion.cameras import CONVENTION, Cameras, cameras_to_json
from holofusion.cameras.spread import spread_cameras
from holofusion.config.steps import RenderSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.pipeline.job import Job
from holofusion.pipeline.paths import scene_name
from holofusion.rendering.images import to_bytes
from holofusion.rendering.views import Views
from holofusion.scenes.files import load_scene
from holofusion.utils.files import UserError, reading, replacing, write_json
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for

DEPTH_STEPS = 65535  # of a 16-bit picture


def run(job: Job[RenderSettings]) -> None:
    """Render every scene of a shard from its frozen evaluation cameras, as PNG, to `job.out`; and more of the first scenes.

    <seed>/view_000.png are the scored views. The first scenes also get turntable/<seed>/frame_000.png, one full
    turn, and consistency/<seed>/view_000.png from frozen cameras all round (the same for every method), in order of
    azimuth, each with depth_000.png and alpha_000.png. cameras.json lists each file with its camera.
    """
    settings, data, device = job.settings.render, PreparedCategory.load(job.path("data")), job.device
    samples = job.path("samples")
    folders = sorted(path.parent for path in samples.glob("*/scene.json"))
    if not folders:
        raise UserError(f"{samples}: no scenes here (expected <seed>/scene.json)")
    progress = Progress(f"render {job.run.method}", len(folders))
    pool, size = data.evaluation_cameras, data.image_size
    scenes, seconds = [], 0.0
    with replacing(job.out) as temporary:
        for folder in folders:
            scene, facts = load_scene(folder, device)
            with reading(folder / "scene.json"):
                seed = int(facts["seed"])
                entry: dict[str, Any] = {"seed": seed, "sample_seconds": float(facts["seconds"])}
            began = time.monotonic()
            rows = torch.arange(seed * settings.views, (seed + 1) * settings.views) % len(pool)
            cameras = pool[rows]
            views = scene.render(cameras.to(device), size)
            seconds += time.monotonic() - began
            entry["views"] = write_views(views, cameras, temporary, f"{scene_name(seed)}/view")
            entry["turntable"], entry["consistency"] = [], []
            if seed < settings.turntable_scenes:
                frames = data.turntable.cameras(settings.turntable_frames)
                views = scene.render(frames.to(device), size)
                entry["turntable"] = write_views(views, frames, temporary, f"turntable/{scene_name(seed)}/frame")
            if seed < settings.consistency_scenes:
                distinct = pool[np.sort(np.unique(pool.T.numpy(), axis=0, return_index=True)[1]).tolist()]
                around = spread_cameras(
                    distinct, settings.consistency_views, generator_for("consistency cameras", seed)
                )
                entry["consistency"] = write_consistency(scene.render(around.to(device), size), around, temporary, seed)
            scenes.append(entry)
            progress.advance()
        write_json(
            temporary / "cameras.json",
            {
                "run": job.run.name,
                "convention": CONVENTION,
                "image_size": size,
                "config_hash": job.resolved.hash,
                "scenes": scenes,
                "cost": {
                    "sample_seconds": sum(entry["sample_seconds"] for entry in scenes),
                    "render_seconds": round(seconds, 2),
                    "scenes": len(scenes),
                },
            },
        )


def write_views(views: Views, cameras: Cameras, root: Path, stem: str) -> list[dict[str, Any]]:
    """Save the colours as root/<stem>_000.png and so on; return an entry with file and camera for each."""
    (root / stem).parent.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, (image, camera) in enumerate(zip(to_bytes(views.rgb), cameras_to_json(cameras), strict=True)):
        name = f"{stem}_{index:03d}.png"
        Image.fromarray(image).save(root / name)
        entries.append({"file": name, **camera})
    return entries


def write_consistency(views: Views, cameras: Cameras, root: Path, seed: int) -> list[dict[str, Any]]:
    """Save colours, depth along the ray (16 bit, `depth_unit` world units a step, 0 where opacity is below 1/2), opacity."""
    folder = f"consistency/{scene_name(seed)}"
    entries = write_views(views, cameras, root, f"{folder}/view")
    for index, entry in enumerate(entries):
        depth, alpha = (part[index, 0].float().cpu().numpy() for part in (views.depth, views.alpha))
        depth = np.where(alpha >= 0.5, depth, 0.0)
        unit = max(float(depth.max()), 1e-6) / DEPTH_STEPS
        entry |= {"depth": f"{folder}/depth_{index:03d}.png", "alpha": f"{folder}/alpha_{index:03d}.png"}
        entry["depth_unit"] = unit
        Image.fromarray((depth / unit).round().astype(np.uint16)).save(root / entry["depth"])
        Image.fromarray((alpha.clip(0, 1) * 255).round().astype(np.uint8)).save(root / entry["alpha"])
    return entries
