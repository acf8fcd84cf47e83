"""The step `geometry_floor`: score the true surfaces of held-out objects, what a good generator can be asked for."""

from __future__ import annotations

from holofusion.config.steps import GeometrySettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import facts_of
from holofusion.evaluation.geometry import shape_entries, some, surface_entries, true_meshes
from holofusion.evaluation.score import say_entries
from holofusion.meshing.points import drawn_points
from holofusion.pipeline.job import Job
from holofusion.pipeline.registry import FLOOR
from holofusion.utils.files import read_json, write_json


def run(job: Job[GeometrySettings]) -> None:
    """Score the true shapes of the held-out objects, compared with as many training objects; write the JSON `job.out`.

    Raises UserError naming the `mesh.ply` below `--dataset` that is missing.
    """
    data, count = job.path("data"), job.settings.geometry.points
    split, sequences = read_json(data / "split.json"), job.path("dataset") / str(job.resolved.category)
    held_out = true_meshes(data, sequences, split["held_out"])
    train = true_meshes(data, sequences, some(split["train"], len(split["held_out"])))
    generated, reference = (
        [drawn_points(mesh, count, name) for name, mesh in meshes.items()] for meshes in (held_out, train)
    )
    draws = Redraws(job.settings.intervals.replicates, job.resolved.seed).of_scenes(len(held_out))
    entries = surface_entries(list(held_out.values()), draws) + shape_entries(generated, reference, draws)
    write_json(job.out, {**facts_of(job.resolved, FLOOR), "n_scenes": len(held_out), "entries": entries})
    say_entries(job.resolved.name, entries)
