"""Super-resolved views of the coarse scenes."""

from __future__ import annotations

from holofusion.config.steps import HypothesesSettings
from holofusion.pipeline.job import Job
from holofusion.steps.sample import run_hypotheses


def run(job: Job[HypothesesSettings]) -> None:
    """Write the hypotheses of every scene of the shard below `--coarse` to the folder `job.out`."""
    run_hypotheses(
        job.resolved, job.path("data"), job.path("model"), job.path("coarse"), job.shard, job.out, job.device
    )
