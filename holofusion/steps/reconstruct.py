"""Reconstructions: a fine grid of every object, from its photographs and masks alone."""

from __future__ import annotations

from holofusion.config.steps import ReconstructSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.pipeline.job import Job
from holofusion.reconstruction.objects import reconstruct_objects
from holofusion.steps.training import data_hash
from holofusion.training.checkpoint import stamp_of
from holofusion.utils.locks import finished_parts


def run(job: Job[ReconstructSettings]) -> None:
    """Write <object>.safetensors of every object, held-out ones too (the denoiser's error is measured on these), to `job.out`.

    `job.threads` objects are made side by side. Started again after a kill, it makes those that are missing.
    """
    data = PreparedCategory.load(job.path("data"))
    with finished_parts(job.out, stamp_of(job.resolved.hash, data_hash(data))) as (partial, _):
        names = [*data.train, *data.held_out]
        reconstruct_objects(data, names, job.settings.reconstruction, partial, job.threads)
