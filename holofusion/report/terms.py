"""Terms of the comparison between trainings: time, steps, images, parameters, and number of settings tried."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from holofusion.pipeline.registry import label_of
from holofusion.report.collect import RunResults
from holofusion.report.cost import Cost, cost_of, total

EQUAL = 0.15  # trainings whose times differ by less are called equally long


@dataclass(frozen=True)
class Terms:
    """One training. seconds: with the warm-up it needs; share: of the first training's; None where nothing says."""

    label: str
    cost: Cost
    seconds: float | None
    share: float | None
    settings_tried: int | None

    @property
    def equal(self) -> bool:
        return self.share is not None and abs(self.share - 1) <= EQUAL


def settings_tried() -> dict[str, int]:
    """How many settings were tried for each training, by the name of its method, from `tried.csv`."""
    lines = (Path(__file__).parent / "tried.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["method"]: int(row["settings_tried"]) for row in rows}


def terms_of(runs: list[RunResults]) -> list[Terms]:
    """The terms of every training behind `runs`, which are of one category and seed; the first is the measure."""
    tried, terms = settings_tried(), list[Terms]()
    trainings = {run.training_run: (run, run.model) for run in reversed(runs) if run.model}
    for run, model in reversed(trainings.values()):
        cost, method = cost_of(run, runs), model["method"] or run.method
        seconds = total([cost.warmup_seconds, cost.train_seconds])
        first = terms[0].seconds if terms else seconds
        share = seconds / first if seconds is not None and first else None
        terms.append(Terms(label_of(method), cost, seconds, share if terms else 1.0, tried.get(method)))
    return terms
