"""Encoder and decoder, trained without noise."""

from __future__ import annotations

from holofusion.config.steps import WarmupSettings
from holofusion.pipeline.job import Job
from holofusion.steps.train import run_warmup


def run(job: Job[WarmupSettings]) -> None:
    """Write the weights, and the refined grids of all training objects, to the folder `job.out`."""
    run_warmup(job.resolved, job.path("data"), job.out, job.device)
