"""The step `evaluate`: score the rendered views of one run against real images."""

from __future__ import annotations

import numpy as np

from holofusion.config.steps import EvaluateSettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import facts_of
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.references import Pictures, Scored, evenly, renumbered
from holofusion.evaluation.score import Scorer, say_entries
from holofusion.pipeline.job import Job
from holofusion.utils.files import UserError, write_json


def run(job: Job[EvaluateSettings]) -> None:
    """Score `evaluation.images` views of one run against the training and the held-out objects; write the JSON `job.out`.

    `--views` holds shards, each with `cameras.json` and the PNG files it lists; of more views than asked for, evenly
    spaced ones are scored. Reference features are shared by all runs in the folder `features/` beside `job.out`.
    Raises UserError for an empty or foreign folder, an unusable image, or too few of them: distances of unequal numbers
    of images do not compare.
    """
    settings, name, folder = job.settings.evaluation, job.run.name, job.path("views")
    redraws = Redraws(job.settings.intervals.replicates, job.run.seed)
    scorer = Scorer.open(job.path("data"), settings, redraws, job.out.parent, job.device)
    views = ViewFolder.load(folder, name, scorer.data.image_size)
    if len(views.files) < settings.images:
        raise UserError(
            f"{folder}: {len(views.files)} views; evaluation.images asks for {settings.images} of every row"
        )
    chosen = evenly(len(views.files), settings.images)
    units = views.units[chosen]
    files = tuple(views.files[index].relative_to(folder).as_posix() for index in chosen)
    pictures = Pictures(np.stack([views.image(index) for index in chosen]), renumbered(units), files)
    scores = scorer.score(Scored(pictures), name)
    content = {
        **facts_of(job.resolved, job.run.method),
        "feature_network": settings.feature_network,
        "n_scenes": pictures.n_units,
        "n_available": len(views.files),
        "scenes": [views.seeds[unit] for unit in np.unique(units)],
        **scores,
    }
    write_json(job.out, content)
    say_entries(name, scores["entries"])
