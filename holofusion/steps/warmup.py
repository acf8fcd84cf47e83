"""The warm-up: encoder and decoder trained without noise, and the grids of all training objects, refined."""

from __future__ import annotations

import time

from holofusion.config.steps import WarmupSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import build
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.methods.refinement import refine
from holofusion.pipeline.job import Job
from holofusion.steps.training import facts_of, sole_training, stamp_for
from holofusion.training.loop import TrainingRun, averaged_tensors, fit
from holofusion.training.model_file import save_model


def run(job: Job[WarmupSettings]) -> None:
    """Train encoder, pooling head and decoder; write them, and the refined grids of all training objects, to `job.out`."""
    settings, seed, data = job.settings, job.resolved.seed, PreparedCategory.load(job.path("data"))
    stamp, micro_batches = stamp_for(job, data), settings.parallel.micro_batches
    with sole_training(job) as (group, check):
        method = build(VoxelAutoencoder, dict(settings), group.device, seed, "warmup")
        average, seconds = fit(method, TrainingRun(seed, micro_batches, data, job.out, stamp, group, check), "warmup")
        if group.rank:
            return
        method.load_state_dict(averaged_tensors(method, average))
        began = time.monotonic()
        encoded = method.encode_objects(data, data.train, group.device)
        grids = refine(encoded, method.decoder, data, settings, seed)
        seconds += time.monotonic() - began
        tensors = {**method.state_dict(), "grids": grids}
        save_model(job.out, method, tensors, settings.volume.precision, seconds, facts_of(job))
