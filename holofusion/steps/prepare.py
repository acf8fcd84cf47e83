"""From a folder in CO3D layout to prepared data."""

from __future__ import annotations

from holofusion.config.steps import PrepareSettings
from holofusion.data.preparation.prepare import prepare
from holofusion.pipeline.job import Job


def run(job: Job[PrepareSettings]) -> None:
    """Write the prepared data of the category that lies below `--dataset`."""
    facts = job.resolved
    prepare(job.settings, job.category, facts.seed, job.path("dataset"), job.out, facts.hash, job.threads)
