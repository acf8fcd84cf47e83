"""How long a run still takes: seconds of a step's jobs, from earlier runs and from those that have finished in this one."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from holofusion.pipeline.steps import STEPS


def benchmark_of(path: Path) -> tuple[float, float] | None:
    """Seconds, and most resident memory in MB, of one job, as Snakemake noted them; None where it did not."""
    try:
        with open(path, newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        return float(row["s"]), float(row["max_rss"])
    except (OSError, StopIteration, KeyError, ValueError, TypeError):
        return None


class Pace:
    """Seconds per job by rule, and jobs at work side by side."""

    def __init__(self, results: Path) -> None:
        self.known: dict[str, list[float]] = defaultdict(list)
        for step in STEPS.values():
            for path in (results / "benchmarks" / step.name).rglob("*.tsv"):
                if (found := benchmark_of(path)) is not None:
                    self.known[step.rule].append(found[0])
        self.seen: dict[str, list[float]] = defaultdict(list)

    def finished(self, rule: str, seconds: float) -> None:
        """Take note of a job of this run. It counts for more than those of earlier ones."""
        self.seen[rule].append(seconds)

    def of(self, rule: str) -> float | None:
        """Seconds of a job of the rule; of any job where there has been none of it; None before the first."""
        for of_rule in (self.seen.get(rule), self.known.get(rule)):
            if of_rule:
                return mean(of_rule)
        every = [mean(values) for values in (*self.seen.values(), *self.known.values()) if values]
        return mean(every) if every else None

    def left(
        self, waiting: Counter[str], running: Mapping[str, list[float]], elapsed: float, cores: int
    ) -> float | None:
        """Seconds until all is done; None where nothing is known.

        waiting: jobs by rule that have not begun. running: by rule, the seconds that each job has been at work. elapsed: of
        the whole run, from which is told how many jobs run side by side, at most `cores`.
        """
        work = 0.0
        for rule, count in waiting.items():
            if (seconds := self.of(rule)) is None:
                return None
            work += count * seconds
        for rule, spent in running.items():
            if (seconds := self.of(rule)) is None:
                return None
            work += sum(max(0.0, seconds - each) for each in spent)
        done = sum(map(sum, self.seen.values())) + sum(map(sum, running.values()))
        return work / (min(cores, max(1.0, done / elapsed)) if done > 0 else cores)
