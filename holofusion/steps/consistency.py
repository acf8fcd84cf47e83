"""The step `consistency`: score how well the views of each scene of one run agree."""

from __future__ import annotations

from holofusion.config.steps import ConsistencySettings
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.consistency import FEWEST_VIEWS, choose_scenes, entries_of, score_scene
from holofusion.evaluation.entries import facts_of
from holofusion.evaluation.folders import ViewFolder
from holofusion.pipeline.job import Job
from holofusion.utils.files import write_json
from holofusion.utils.progress import Progress, say


def run(job: Job[ConsistencySettings]) -> None:
    """Score the scenes of one run that `choose_scenes` finds below `--views`; write the JSON `job.out`.

    Without any such scene it holds no entries. Raises UserError for a folder of another run, an unusable picture, or
    cameras that look past the objects.
    """
    folder, size = job.path("views"), PreparedCategory.load(job.path("data")).image_size
    ViewFolder.load(folder, job.run.name, size)  # its checks
    chosen = choose_scenes(folder)
    progress, scenes = Progress(f"consistency {job.run.method}", len(chosen)), []
    for scene in chosen:
        scenes.append(score_scene(scene, size, job.settings.consistency, job.device))
        progress.advance()
    redraws = Redraws(job.settings.intervals.replicates, job.run.seed)
    content = {
        **facts_of(job.resolved, job.run.method),
        "n_scenes": len(scenes),
        "entries": entries_of(scenes, redraws),
        "scenes": scenes,
    }
    write_json(job.out, content)
    if not scenes:
        say(f"{folder}: no scene has {FEWEST_VIEWS} views; view consistency is not scored")
