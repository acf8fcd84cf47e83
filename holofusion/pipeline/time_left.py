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
        """Seconds of a job of the rule, in this run or else in earlier ones; None before the first."""
        of_rule = self.seen.get(rule) or self.known.get(rule)
        return mean(of_rule) if of_rule else None

    def left(
        self, waiting: Counter[str], running: Mapping[str, list[float]], elapsed: float, cores: int
    ) -> float | None:
        """Seconds until all is done; None where less than half of the jobs that are left are of a kind that was measured.

        waiting: jobs by rule that have not begun. running: by rule, the seconds that each job has been at work. elapsed: of
        the whole run, from which is told how many jobs run side by side, at most `cores`. A job of a kind that was not
        measured counts as the mean of those that were.
        """
        left = waiting + Counter({rule: len(spent) for rule, spent in running.items()})
        measured = {rule: seconds for rule in left if (seconds := self.of(rule)) is not None}
        known = sum(left[rule] for rule in measured)
        if not known or 2 * known < left.total():
            return None
        usual = sum(left[rule] * seconds for rule, seconds in measured.items()) / known
        work = sum(count * measured.get(rule, usual) for rule, count in waiting.items())
        for rule, spent in running.items():
            work += sum(max(0.0, measured.get(rule, usual) - each) for each in spent)
        done = sum(map(sum, self.seen.values())) + sum(map(sum, running.values()))
        return work / (min(cores, max(1.0, done / elapsed)) if done > 0 else cores)
