"""Surfaces as others open them, looked at from the cameras of the field's pictures, and scored as these are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

from holofusion.cameras import Cameras, cameras_from_json
from holofusion.config.evaluation import Consistency
from holofusion.evaluation.bootstrap import Redraws, drawn_of, replicates_of
from holofusion.evaluation.consistency import choose_scenes, held_out_scores, psnr_and_ssim
from holofusion.evaluation.entries import Counts, Entry, entry
from holofusion.evaluation.fidelity import kernel_entry, mean_entry, scene_mean
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.references import Pictures, evenly, renumbered
from holofusion.evaluation.score import Scorer
from holofusion.evaluation.sharpness import sharpness
from holofusion.meshing.textured import TexturedMesh
from holofusion.rendering.images import from_bytes, to_bytes
from holofusion.utils.files import UserError, read_json, reading
from holofusion.utils.progress import Progress

Meshes = Mapping[int, TexturedMesh | None]
"""The surface of every scene by seed; None where there is none."""


def read_textured(path: Path, place: dict[str, Any]) -> TexturedMesh:
    """A .glb file of the step `mesh`, in world units and place again: `place` is what meshes.json says of it.

    Raises UserError if it is missing, damaged, or has no texture.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        mesh = trimesh.load_mesh(path, process=False)
        picture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))  # type: ignore[union-attr]
        places = np.asarray(mesh.visual.uv) * (1, -1) + (0, 1)  # type: ignore[union-attr]
        faces = np.asarray(mesh.faces)
        vertices = np.asarray(mesh.vertices) * float(place["unit"]) + np.asarray(place["center"], float)
    except Exception as error:  # the reader raises whatever a damaged file happens to trip
        raise UserError(f"{path}: not a textured mesh that can be read ({error})") from None
    return TexturedMesh(vertices.astype(np.float32), faces, places.astype(np.float32), faces, picture)


def mesh_entries(
    meshes: Meshes, views: Path, run: str, scorer: Scorer, settings: Consistency, device: torch.device
) -> list[Entry]:
    """Kernel distance, sharpness, view agreement, and likeness to the field's pictures, of the surfaces of one run.

    views: all shards of the run's pictures, as `render` writes them. A scene without a surface shows white, as its file does.
    """
    scored = ViewFolder.load(views, run, scorer.data.image_size)
    chosen, cameras = evenly(len(scored.files), scorer.settings.images), cameras_of(views)
    progress, shown = Progress(f"pictures of meshes {run}", len(chosen)), []
    for index in chosen:
        mesh, camera = meshes[scored.seeds[scored.units[index]]], cameras[scored.files[index]]
        shown.append(picture_of(mesh, camera, scored.image_size))
        progress.advance()
    pictures = Pictures(np.stack(shown), renumbered(scored.units[chosen]))
    field = np.stack([scored.image(index) for index in chosen])
    generated = scorer.features(pictures, f"meshes {run}")
    return [
        kernel_entry(scorer.reference("train"), generated, "train", scorer.settings, scorer.redraws, "mesh_"),
        sharpness_entry(pictures, scorer),
        likeness_entry(pictures, field, scorer.redraws),
        *agreement_entries(meshes, views, scored.image_size, settings, scorer.redraws, device),
    ]


def cameras_of(views: Path) -> dict[Path, Cameras]:
    """The camera of every scored picture of a run, by file."""
    found: dict[Path, Cameras] = {}
    for path in sorted(views.glob("*/cameras.json")):
        with reading(path):
            for scene in read_json(path)["scenes"]:
                found |= {path.parent / view["file"]: cameras_from_json([view]) for view in scene["views"]}
    return found


def picture_of(mesh: TexturedMesh | None, camera: Cameras, size: int) -> np.ndarray:
    """The picture (size, size, 3), uint8, of a surface from one camera; white where there is none."""
    if mesh is None:
        return np.full((size, size, 3), 255, np.uint8)
    return to_bytes(mesh.render(camera, size).rgb)[0]


def sharpness_entry(pictures: Pictures, scorer: Scorer) -> Entry:
    """Sharpness inside the object, as a share of the training images' mean."""
    rows = scorer.training_rows()[0]
    real = sharpness(scorer.data.images[rows[evenly(len(rows), len(pictures))]])
    shares, draws = sharpness(pictures.images) / real.mean(), scorer.redraws.of_scenes(pictures.n_units)
    value, count = float(shares.mean()), len(pictures)
    return mean_entry("mesh_sharpness", "train", value, shares, pictures.units, draws, n_generated=count)


def likeness_entry(pictures: Pictures, field: np.ndarray, redraws: Redraws) -> Entry:
    """PSNR of pictures of surfaces against those of the field (n, S, S, 3), over the pixels that are not white in both."""
    values = []
    for unit in range(pictures.n_units):
        pair = (images[pictures.units == unit] for images in (pictures.images, field))
        values.append(psnr_and_ssim(*map(from_bytes, pair))[0])
    return scene_mean("mesh_likeness", None, np.array(values), redraws, n_generated=len(pictures))


def agreement_entries(
    meshes: Meshes, views: Path, size: int, settings: Consistency, redraws: Redraws, device: torch.device
) -> list[Entry]:
    """View consistency of surfaces, from the cameras of the scenes that it is scored of; none where there are no such scenes."""
    scenes = choose_scenes(views)
    known = [index for index, scene in enumerate(scenes) if meshes[scene.seed] is not None]
    values = []
    for scene in (scenes[index] for index in known):
        cameras = cameras_from_json(scene.views)
        shown = [picture_of(meshes[scene.seed], cameras[index], size) for index in range(len(cameras))]
        pictures = from_bytes(np.stack(shown)).to(device)
        values.append(held_out_scores(pictures, cameras.to(device), settings, scene.seed)["consistency_psnr"])
    if not known:
        return []
    draws = drawn_of(redraws.of_scenes(len(scenes)), known)
    replicates = replicates_of(lambda counts: float(np.average(values, weights=counts)), draws)
    count = sum(len(scenes[index].views) for index in known)
    counts: Counts = {"n_scenes": len(known), "n_generated": count}
    return [entry("mesh_consistency_psnr", None, float(np.mean(values)), replicates, len(known), **counts)]
