"""Steps of the pipeline in tests: one job of one, on the CPU, as the command does it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.steps import STEPS


def job_of(resolved: Resolved[Any], out: Path, shard: int = 0, **inputs: Path | None) -> Job[Any]:
    given = {name: path for name, path in inputs.items() if path is not None}
    return Job(resolved, out, given, shard, 1, torch.device("cpu"))


def do(results: Path, step: str, name: str, out: Path, shard: int = 0, **inputs: Path | None) -> Path:
    """Do the step with the settings results/config/STEP/NAME.yaml, and return `out`."""
    resolved = load_step(results / f"config/{step}/{name}.yaml")
    import_module(STEPS[step].module).run(job_of(resolved, out, shard, **inputs))
    return out
