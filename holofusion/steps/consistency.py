"""The step `consistency`: score how well the views of each scene of one run agree."""

from __future__ import annotations

from pathlib import Path

import torch

from holofusion.config.steps import ConsistencySettings
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.consistency import FEWEST_VIEWS, choose_scenes, entries_of, score_scene
from holofusion.evaluation.folders import ViewFolder
from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.runs import Run
from holofusion.utils.files import write_json
from holofusion.utils.progress import Progress, say


def run_consistency(resolved: Resolved, data: Path, views_dir: Path, out: Path, device: torch.device) -> None:
    """Score the scenes of one run that `choose_scenes` finds in `views_dir`; write the JSON `out`.

    Without any such scene `out` holds no entries. Raises UserError for a folder of another run, an unusable picture, or
    cameras that look past the objects.
    """
    run = Run(str(resolved.method), str(resolved.category), resolved.seed).name
    size = PreparedCategory.load(data).image_size
    ViewFolder.load(views_dir, run, size)  # its checks
    chosen = choose_scenes(views_dir)
    progress, scenes = Progress(f"consistency {resolved.method}", len(chosen)), []
    for scene in chosen:
        scenes.append(score_scene(scene, size, resolved.settings.consistency, device))
        progress.advance()
    write_json(
        out,
        {
            "run": run,
            "method": resolved.method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "n_scenes": len(scenes),
            "entries": entries_of(scenes, Redraws(resolved.settings.intervals.replicates, resolved.seed)),
            "scenes": scenes,
        },
    )
    if not scenes:
        say(f"{views_dir}: no scene has {FEWEST_VIEWS} views; view consistency is not scored")


def run(job: Job[ConsistencySettings]) -> None:
    """Write the view consistency of the run below `--views` to the JSON file `job.out`."""
    run_consistency(job.resolved, job.path("data"), job.path("views"), job.out, job.device)
