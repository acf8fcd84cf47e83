"""Take the times of a finished run over, for the forecast that `make report` begins with: part of make reference.

    python -m tools.reference_times RESULTS

Reads the benchmarks that Snakemake wrote to RESULTS, measures a training step, and writes both to
`holofusion/pipeline/reference_times.json` under the run's preset. To be done on the machine of the run, with nothing beside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.forecast import TIMES
from holofusion.pipeline.steps import STEPS
from holofusion.pipeline.time_left import benchmark_of
from holofusion.training.calibration import step_seconds
from holofusion.utils.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]


def seconds_by_step(results: Path) -> dict[str, tuple[int, float]]:
    """Number of jobs and their seconds, of every step that has benchmarks."""
    found = {}
    for step in STEPS:
        read = map(benchmark_of, sorted((results / "benchmarks" / step).rglob("*.tsv")))
        seconds = [each[0] for each in read if each is not None]
        if seconds:
            found[step] = (len(seconds), sum(seconds))
    return found


def times_of(results: Path, threads: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """By step: the number of jobs, and the mean core seconds of one, which are its seconds times the cores that it held.

    threads: cores of a job by step, 1 where none are named.
    """
    found: dict[str, dict[str, Any]] = {"jobs": {}, "core_seconds": {}}
    for step, (jobs, seconds) in seconds_by_step(results).items():
        found["jobs"][step] = jobs
        found["core_seconds"][step] = round(seconds / jobs * threads.get(step, 1), 1)
    return found


def take_times(results: Path, path: Path = TIMES) -> None:
    """Write the times of a run, with the seconds of a training step here. Exits where the run has no benchmarks."""
    preset, cores = read_json(results / "preset.json")["preset"], os.cpu_count() or 1
    asked = load_params(ROOT / "params.yaml", preset).threads.model_dump()
    found = times_of(results, {step: min(count, cores) for step, count in asked.items()})
    if not found["jobs"]:
        sys.exit(f"error: {results}/benchmarks: no times of jobs; expected a finished run")
    known = read_json(path) if path.is_file() else {}
    write_json(path, known | {preset: {"calibration": float(f"{step_seconds():.4g}"), **found}})


if __name__ == "__main__":
    take_times(Path(sys.argv[1]))
