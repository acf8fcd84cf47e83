"""The step `reference`: score real images as if they were generated."""

from __future__ import annotations

from pathlib import Path

import torch

from holofusion.config.steps import EvaluateSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.references import real_pictures
from holofusion.evaluation.score import Scorer, say_entries
from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.registry import FLOOR
from holofusion.utils.files import write_json


def run_reference(
    resolved: Resolved, data: Path, other: Path | None, out: Path, device: torch.device | str = "cpu"
) -> None:
    """Score as many real images as of every row: floor and ceilings of the table.

    Which images is in the settings' name, `<kind>-<category>`; see `references.real_pictures`. `other` is the prepared
    data of another category, for `real_other`. The floor also holds `one_image_repeated`, the kernel distance of a
    generator that knows one training image.
    """
    kind, settings = resolved.name.removesuffix(f"-{resolved.category}"), resolved.settings.evaluation
    redraws = Redraws(resolved.settings.intervals.replicates, resolved.seed)
    scorer = Scorer.open(data, settings, redraws, out.parent, device)
    other_data = PreparedCategory.load(other) if other else None
    scored = real_pictures(kind, scorer.data, other_data, settings.images, settings.reference_frames)
    run = f"{kind}-{resolved.category}"
    scores = scorer.score(scored, run)
    content = {
        "run": run,
        "method": kind,
        "category": resolved.category,
        "seed": resolved.seed,
        "config_hash": resolved.hash,
        "feature_network": settings.feature_network,
        "n_scenes": scored.pictures.n_units,
        "n_available": scored.n_available,
        "other_category": other_data.category if other_data else None,
    }
    content |= scores
    if kind == FLOOR:
        content["one_image_repeated"] = scorer.one_image_repeated()
    write_json(out, content)
    say_entries(run, scores["entries"])


def run(job: Job[EvaluateSettings]) -> None:
    """Write the scores of the row that the settings' name says to the JSON file `job.out`."""
    run_reference(job.resolved, job.path("data"), job.inputs.get("other"), job.out, job.device)
