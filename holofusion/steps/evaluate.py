"""The step `evaluate`: score the rendered views of one run against real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from holofusion.config.steps import EvaluateSettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.references import Pictures, Scored, evenly, renumbered
from holofusion.evaluation.score import Scorer, say_entries
from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.runs import Run
from holofusion.utils.files import UserError, write_json


def run_evaluate(
    resolved: Resolved, data: Path, views_dir: Path, out: Path, device: torch.device | str = "cpu"
) -> None:
    """Score `evaluation.images` views of one run against the training and the held-out objects; write the JSON `out`.

    `views_dir` holds shards, each with `cameras.json` and the PNG files it lists; of more views than asked for, evenly
    spaced ones are scored. Reference features are shared by all runs in the folder `features/` beside `out`.
    Raises UserError for an empty or foreign folder, an unusable image, or too few of them: distances of unequal numbers
    of images do not compare.
    """
    settings = resolved.settings.evaluation
    run = Run(str(resolved.method), str(resolved.category), resolved.seed).name
    redraws = Redraws(resolved.settings.intervals.replicates, resolved.seed)
    scorer = Scorer.open(data, settings, redraws, out.parent, device)
    views = ViewFolder.load(views_dir, run, scorer.data.image_size)
    if len(views.files) < settings.images:
        raise UserError(
            f"{views_dir}: {len(views.files)} views; evaluation.images asks for {settings.images} of every row"
        )
    chosen = evenly(len(views.files), settings.images)
    units = views.units[chosen]
    names = tuple(views.files[index].relative_to(views_dir).as_posix() for index in chosen)
    pictures = Pictures(np.stack([views.image(index) for index in chosen]), renumbered(units), names)
    scores = scorer.score(Scored(pictures), run)
    content = {
        "run": run,
        "method": resolved.method,
        "category": resolved.category,
        "seed": resolved.seed,
        "config_hash": resolved.hash,
        "feature_network": settings.feature_network,
        "n_scenes": pictures.n_units,
        "n_available": len(views.files),
        "scenes": [views.seeds[unit] for unit in np.unique(units)],
    }
    write_json(out, content | scores)
    say_entries(run, scores["entries"])


def run(job: Job[EvaluateSettings]) -> None:
    """Write the scores of the views below `--views` to the JSON file `job.out`."""
    run_evaluate(job.resolved, job.path("data"), job.path("views"), job.out, job.device)
