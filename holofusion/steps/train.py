"""The training of a method."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from holofusion.config.row_steps import TrainSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import CodesResult, TrainingInputs, WarmupResult, build
from holofusion.methods.files import CAMERAS, load_weights, method_class
from holofusion.pipeline.job import Job
from holofusion.pipeline.registry import ROWS, Need
from holofusion.scenes.base import unprefixed
from holofusion.steps.training import facts_of, sole_training, stamp_for
from holofusion.training.loop import TrainingRun, averaged_tensors, fit
from holofusion.training.model_card import TrainingData, model_card
from holofusion.training.model_file import save_model
from holofusion.utils.files import read_json, replacing

# Shares of a training after which its weights are kept, for the curve of kernel distance against training time.
SNAPSHOTS = (0.0, 0.1, 0.25, 0.5, 0.75)


def run(job: Job[TrainSettings]) -> None:
    """Train a method and write its averaged weights, model.json and what else using them takes to `job.out`.

    Raises UserError when the method needs a warm-up, codes, or another training, and is given none.
    """
    settings, seed, data = job.settings, job.resolved.seed, PreparedCategory.load(job.path("data"))
    row = ROWS[job.run.method]
    start = {need: job.path(need) for need in row.needs}
    stamp = stamp_for(job, data, *(folder / "model.safetensors" for folder in start.values()))
    with sole_training(job) as (group, check):
        kind = method_class(row)
        method = build(kind, dict(settings), group.device, seed, kind.seed_name)
        method.prepare(
            TrainingInputs(
                data,
                read_warmup(start[Need.WARMUP], group.device) if Need.WARMUP in start else None,
                read_codes(start[Need.CODES], group.device) if Need.CODES in start else None,
                load_weights(start[Need.BASE], group.device) if Need.BASE in start else None,
            )
        )
        tensors, seconds = method.state_dict(), 0.0
        if method.steps:
            training = TrainingRun(seed, settings.parallel.micro_batches, data, job.out, stamp, group, check)
            average, seconds = fit(method, training, "train", SNAPSHOTS)
            tensors = averaged_tensors(method, average)
        if group.rank == 0:
            job.out.mkdir(parents=True, exist_ok=True)
            with replacing(job.out / CAMERAS) as temporary:
                shutil.copyfile(data.folder / CAMERAS, temporary)
            facts = facts_of(job) | {"image_size": data.image_size}
            save_model(job.out, method, tensors, settings.volume.precision, seconds, facts)
            with replacing(job.out / "MODEL_CARD.md") as temporary:
                temporary.write_text(model_card(read_json(job.out / "model.json"), TrainingData.of(data)))


def read_warmup(folder: Path, device: torch.device) -> WarmupResult:
    """What a finished warm-up left for trainings."""
    tensors = load_weights(folder, device)
    return WarmupResult(tensors["grids"], unprefixed("decoder", tensors))


def read_codes(folder: Path, device: torch.device) -> CodesResult:
    """What finished encoding left for trainings."""
    tensors = load_weights(folder, device)
    return CodesResult(tensors["codes"], tensors["held_out"], unprefixed("decoder", tensors))
