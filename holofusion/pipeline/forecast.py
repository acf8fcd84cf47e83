"""How long a run takes, told before anything of it was measured here: the times of a finished run elsewhere, and how fast this
machine takes one training step.

`python -m tools.reference_times RESULTS` writes the file of times.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from holofusion.pipeline.steps import STEPS
from holofusion.utils.files import read_json
from holofusion.utils.progress import duration

TIMES = Path(__file__).with_name("reference_times.json")
CALIBRATION = "holofusion.training.calibration"  # takes torch, which the workflow does not import
PATIENCE = 2.0  # seconds that a run waits for it, beyond what Snakemake takes to plan the jobs
SMALLEST = "smoke"


@dataclass(frozen=True)
class ReferenceRun:
    """A finished run of a preset. calibration: seconds of a training step there. jobs, core_seconds: by step, the number of
    jobs, and the seconds of one times the cores that it holds, a mean."""

    calibration: float
    jobs: dict[str, int]
    core_seconds: dict[str, float]

    def seconds(self, jobs: Counter[str], cores: int, calibration: float) -> float | None:
        """Seconds of these jobs (by step) on so many cores of a machine that takes `calibration` for a training step.

        At least those of the longest job. None where less than half of the jobs are of a step that has a time; the others
        count as the mean of those.
        """
        known = Counter({step: count for step, count in jobs.items() if step in self.core_seconds})
        if not known or 2 * known.total() < jobs.total():
            return None
        each = [self.core_seconds[step] for step in known.elements()]
        work = sum(each) * jobs.total() / known.total()
        return calibration / self.calibration * max(work / cores, max(each))


def reference_runs(path: Path = TIMES) -> dict[str, ReferenceRun]:
    """The finished runs that the file tells of, by preset."""
    return {preset: ReferenceRun(**facts) for preset, facts in read_json(path).items()}


class Forecast:
    """Measures a training step beside Snakemake's planning, where there is a finished run of the preset to go by."""

    def __init__(self, preset: str) -> None:
        self.preset, self.runs = preset, reference_runs()
        self.process: subprocess.Popen[str] | None = None
        if preset in self.runs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", CALIBRATION],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )

    def told(self, rules: Counter[str], cores: int) -> str:
        """How long the jobs (by rule) take, and what the smallest preset would; "" where nothing is known.

        Where the step was not measured in time, it is told how long they took on the machine of the finished run.
        """
        if self.process is None:
            return ""
        measured, theirs = self._calibration(), self.runs[self.preset].calibration
        where = "on the machine of a finished run" if measured is None else "here, going by a finished run elsewhere"
        calibration = theirs if measured is None else measured
        names = {step.rule: step.name for step in STEPS.values()}
        jobs = Counter({names[rule]: count for rule, count in rules.items() if rule in names})
        seconds = self.runs[self.preset].seconds(jobs, cores, calibration)
        if seconds is None:
            return ""
        told = f"about {duration(seconds)} {where}"
        smallest = self.runs.get(SMALLEST)
        if smallest is None or self.preset == SMALLEST:
            return told
        all_of_it = smallest.seconds(Counter(smallest.jobs), cores, calibration)
        return told if all_of_it is None else f"{told} (PRESET={SMALLEST}: {duration(all_of_it)})"

    def _calibration(self) -> float | None:
        """Seconds of a training step; None where it was not measured in time."""
        assert self.process is not None
        try:
            return float(self.process.communicate(timeout=PATIENCE)[0])
        except (subprocess.TimeoutExpired, ValueError):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """End the measurement, if it is not done."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
