"""The step `reference`: score real images as if they were generated."""

from __future__ import annotations

from typing import Any

from holofusion.config.steps import EvaluateSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import facts_of
from holofusion.evaluation.references import real_pictures
from holofusion.evaluation.score import Scorer, say_entries
from holofusion.pipeline.job import Job
from holofusion.pipeline.registry import FLOOR
from holofusion.pipeline.runs import REAL, read_name
from holofusion.utils.files import UserError, write_json


def run(job: Job[EvaluateSettings]) -> None:
    """Score as many real images as of every row, floor and ceilings of the table, and write the JSON `job.out`.

    Which images is in the settings' name, `<row>-<category>`; see `references.real_pictures`. `--other` is the prepared
    data of another category, for `real_other`. The floor also holds `one_image_repeated`, the kernel distance of a
    generator that knows one training image. Raises UserError for settings of another name, and what `real_pictures` raises.
    """
    settings, name = job.settings.evaluation, job.resolved.name
    parts = read_name(REAL, name)
    if parts is None:
        raise UserError(f"{name}: not a row of real images; expected a name like {REAL}")
    redraws = Redraws(job.settings.intervals.replicates, job.resolved.seed)
    scorer = Scorer.open(job.path("data"), settings, redraws, job.out.parent, job.device)
    other = PreparedCategory.load(job.inputs["other"]) if "other" in job.inputs else None
    scored = real_pictures(parts["real"], scorer.data, other, settings.images, settings.reference_frames)
    scores = scorer.score(scored, name)
    content: dict[str, Any] = {
        **facts_of(job.resolved, parts["real"]),
        "feature_network": settings.feature_network,
        "n_scenes": scored.pictures.n_units,
        "n_available": scored.n_available,
        "other_category": other.category if other else None,
        **scores,
    }
    if parts["real"] == FLOOR:
        content["one_image_repeated"] = scorer.one_image_repeated()
    write_json(job.out, content)
    say_entries(name, scores["entries"])
