"""The surfaces of one shard of scenes."""

from __future__ import annotations

from holofusion.config.steps import MeshSettings
from holofusion.meshing.surface import run_mesh
from holofusion.pipeline.job import Job


def run(job: Job[MeshSettings]) -> None:
    """Write the surface of every scene below `--samples` to the folder `job.out`."""
    run_mesh(job.resolved, job.path("samples"), job.out, job.device)
