"""Take the times of a finished run over, for the forecast that `make report` begins with: part of make reference.

    python -m tools.reference_times RESULTS

Reads the benchmarks that Snakemake wrote to RESULTS, measures a training step, and writes both to
`holofusion/pipeline/reference_times.json` under the run's preset. To be done on the machine of the run. A job counts with the
seconds that cores worked for it, so that other work beside it does not lengthen it.
"""

from __future__ import annotations

import csv
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
OFTEN, THEN_EVERY = 15.0, 30.0  # seconds: Snakemake looks twice a second for so long, then that rarely


def core_seconds_of(path: Path, threads: int) -> float | None:
    """Of one job; where Snakemake noted none, since it was over too soon, its seconds times the cores that it held.

    What Snakemake notes ends with its last look. The job is taken to have gone on as it did until then.
    """
    with open(path, newline="") as file:
        row = next(csv.DictReader(file, delimiter="\t"), {})
    try:
        return float(row["cpu_time"]) * float(row["s"]) / looked_at(float(row["s"]))
    except (KeyError, ValueError):
        found = benchmark_of(path)
        return None if found is None else found[0] * threads


def looked_at(seconds: float) -> float:
    """When Snakemake last looked at a job of so many seconds."""
    return seconds if seconds <= OFTEN else seconds - (seconds - OFTEN) % THEN_EVERY


def times_of(results: Path, threads: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """By step: the number of jobs, and the mean core seconds of one. threads: cores of a job, 1 where none are named."""
    found: dict[str, dict[str, Any]] = {"jobs": {}, "core_seconds": {}}
    for step in STEPS:
        paths = sorted((results / "benchmarks" / step).rglob("*.tsv"))
        seconds = [each for path in paths if (each := core_seconds_of(path, threads.get(step, 1))) is not None]
        if seconds:
            found["jobs"][step] = len(seconds)
            found["core_seconds"][step] = round(sum(seconds) / len(seconds), 1)
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
