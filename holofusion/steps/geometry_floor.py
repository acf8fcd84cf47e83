"""How the true surfaces compare with those of held-out objects."""

from __future__ import annotations

from holofusion.config.steps import GeometrySettings
from holofusion.pipeline.job import Job
from holofusion.steps.geometry import run_geometry_floor


def run(job: Job[GeometrySettings]) -> None:
    """Write the scores of the true surfaces below `--dataset` to the JSON file `job.out`."""
    run_geometry_floor(job.resolved, job.path("data"), job.path("dataset"), job.out)
