"""The step `geometry`: score the surfaces of one run, or the true ones in their place."""

from __future__ import annotations

from pathlib import Path

from holofusion.config.steps import GeometrySettings
from holofusion.evaluation.bootstrap import Redraws, drawn_of
from holofusion.evaluation.entries import Entry, entry
from holofusion.evaluation.geometry import (
    read_mesh,
    read_scenes,
    shape_entries,
    some,
    surface_entries,
    surface_points,
    true_meshes,
)
from holofusion.evaluation.score import say_entries
from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.registry import FLOOR
from holofusion.pipeline.runs import Run
from holofusion.utils.files import read_json, write_json


def run_geometry(resolved: Resolved, data: Path, meshes: Path, dataset: Path | None, out: Path) -> None:
    """Score the meshes of one run, all shards in `meshes`, and write the metrics JSON to `out`.

    dataset: folder in CO3D layout whose sequences hold `mesh.ply`, the true surface; None where there are none, as with
    photographs: then shapes are not compared. They are compared with objects of training and held-out together, as many
    as there are scenes, evenly spaced: fewer scenes than objects could not cover them all.
    Scenes without a surface are counted, and left out of everything else.
    Raises UserError naming the file that is missing, of another run, or not a mesh.
    """
    run, count = (
        Run(str(resolved.method), str(resolved.category), resolved.seed).name,
        resolved.settings.geometry.points,
    )
    scenes = read_scenes(meshes, run)
    surfaces = {seed: read_mesh(path) for seed, (facts, path) in scenes.items() if facts["faces"]}
    empty = len(scenes) - len(surfaces)
    entries = [entry("empty_meshes", None, empty, None, len(scenes), n_generated=len(scenes))]
    known = [place for place, seed in enumerate(scenes) if seed in surfaces]
    draws = drawn_of(_redraws(resolved).of_scenes(len(scenes)), known)
    entries += surface_entries(list(surfaces.values()), draws)
    if dataset is not None and surfaces:
        split = read_json(data / "split.json")
        true = true_meshes(
            data, dataset / str(resolved.category), some(split["train"] + split["held_out"], len(scenes))
        )
        generated = [surface_points(mesh, count, run, seed) for seed, mesh in surfaces.items()]
        reference = [surface_points(mesh, count, name) for name, mesh in true.items()]
        entries += shape_entries(generated, reference, draws)
    _write(resolved, str(resolved.method), run, len(scenes), entries, out)


def run_geometry_floor(resolved: Resolved, data: Path, dataset: Path, out: Path) -> None:
    """The same numbers of the true shapes of the held-out objects, compared with as many training objects.

    What a good generator can be asked for. Raises UserError naming the `mesh.ply` that is missing.
    """
    split, count = read_json(data / "split.json"), resolved.settings.geometry.points
    sequences = dataset / str(resolved.category)
    held_out = true_meshes(data, sequences, split["held_out"])
    train = true_meshes(data, sequences, some(split["train"], len(split["held_out"])))
    generated, reference = (
        [surface_points(mesh, count, name) for name, mesh in meshes.items()] for meshes in (held_out, train)
    )
    draws = _redraws(resolved).of_scenes(len(held_out))
    entries = surface_entries(list(held_out.values()), draws) + shape_entries(generated, reference, draws)
    _write(resolved, FLOOR, f"{FLOOR}-{resolved.category}", len(held_out), entries, out)


def _redraws(resolved: Resolved) -> Redraws:
    return Redraws(resolved.settings.intervals.replicates, resolved.seed)


def _write(resolved: Resolved, method: str, run: str, n_scenes: int, entries: list[Entry], out: Path) -> None:
    write_json(
        out,
        {
            "run": run,
            "method": method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "n_scenes": n_scenes,
            "entries": entries,
        },
    )
    say_entries(run, entries)


def run(job: Job[GeometrySettings]) -> None:
    """Write the scores of the surfaces below `--meshes` to the JSON file `job.out`."""
    run_geometry(job.resolved, job.path("data"), job.path("meshes"), job.inputs.get("dataset"), job.out)
