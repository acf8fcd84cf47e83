"""The step `geometry`: score the surfaces of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holofusion.config.steps import SurfaceSettings
from holofusion.evaluation.bootstrap import Redraws, drawn_of
from holofusion.evaluation.entries import entry, facts_of
from holofusion.evaluation.geometry import (
    file_entries,
    read_mesh,
    read_scenes,
    shape_entries,
    some,
    surface_entries,
    true_meshes,
)
from holofusion.evaluation.mesh_views import mesh_entries, read_textured
from holofusion.evaluation.score import Scorer, say_entries
from holofusion.meshing.points import drawn_points
from holofusion.meshing.textured import TexturedMesh
from holofusion.pipeline.job import Job
from holofusion.utils.files import read_json, write_json


def run(job: Job[SurfaceSettings]) -> None:
    """Score the meshes of one run, all shards in `--meshes`, and write the JSON `job.out`.

    `--dataset` is a folder in CO3D layout whose sequences hold `mesh.ply`, the true surface; without it, as with
    photographs, shapes are not compared. They are compared with objects of training and held-out together, as many as
    there are scenes, evenly spaced: fewer scenes than objects could not cover them all. `--views` holds the field's
    pictures, beside which those of the files are scored. Scenes without a surface are counted, shown white, and left out
    of everything else.
    Raises UserError naming the file that is missing, of another run, or not a mesh.
    """
    name, count = job.run.name, job.settings.geometry.points
    scenes = read_scenes(job.path("meshes"), name)
    surfaces = {seed: read_mesh(path) for seed, (facts, path) in scenes.items() if facts["faces"]}
    empty = len(scenes) - len(surfaces)
    entries = [entry("empty_meshes", None, empty, None, len(scenes), n_generated=len(scenes))]
    known = [place for place, seed in enumerate(scenes) if seed in surfaces]
    redraws = Redraws(job.settings.intervals.replicates, job.run.seed)
    draws = drawn_of(redraws.of_scenes(len(scenes)), known)
    entries += surface_entries(list(surfaces.values()), draws)
    entries += file_entries([scenes[seed][0]["file"] for seed in surfaces], draws)
    scorer = Scorer.open(job.path("data"), job.settings.evaluation, redraws, job.out.parent, job.device)
    shown = {seed: textured_of(facts, path) for seed, (facts, path) in scenes.items()}
    entries += mesh_entries(shown, job.path("views"), name, scorer, job.settings.consistency, job.device)
    if "dataset" in job.inputs and surfaces:
        split = read_json(job.path("data") / "split.json")
        objects = some(split["train"] + split["held_out"], len(scenes))
        true = true_meshes(job.path("data"), job.path("dataset") / job.run.category, objects)
        generated = [drawn_points(mesh, count, name, seed) for seed, mesh in surfaces.items()]
        reference = [drawn_points(mesh, count, sequence) for sequence, mesh in true.items()]
        entries += shape_entries(generated, reference, draws)
    write_json(job.out, {**facts_of(job.resolved, job.run.method), "n_scenes": len(scenes), "entries": entries})
    say_entries(name, entries)


def textured_of(facts: dict[str, Any], surface: Path) -> TexturedMesh | None:
    """The file that others open beside the .ply of one scene, by its facts in meshes.json; None where there is none."""
    return read_textured(surface.with_suffix(".glb"), facts["file"]) if facts["faces"] else None
