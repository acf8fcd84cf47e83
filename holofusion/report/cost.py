"""Costs of every row: parameters, steps and seconds, from the files that the steps wrote."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from holofusion.pipeline.registry import ROWS, Source, coarse_of, label_of
from holofusion.pipeline.steps import STEPS
from holofusion.report.collect import Results, RunResults
from holofusion.utils.files import read_json


@dataclass(frozen=True)
class Cost:
    """Cost of one run. Seconds of wall clock; per-scene figures are means; None where nothing says.

    train_seconds: with those of the training that it takes over, where there is one.
    """

    label: str
    parameters: int | None
    trained_with: str | None
    steps: int | None
    images: int | None
    warmup_seconds: float | None
    train_seconds: float | None
    coarse_seconds: float | None
    hypotheses_seconds: float | None
    own_seconds: float | None
    render_seconds: float | None
    peak_megabytes: float | None
    device: str | None

    @property
    def scene_seconds(self) -> float | None:
        """Seconds for one scene from noise, shared steps included; None if one of them is unknown."""
        return total([self.coarse_seconds, self.hypotheses_seconds, self.own_seconds])


def total(parts: list[float | None]) -> float | None:
    """The sum; None if a part is unknown."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _per_scene(run: RunResults | None, key: str) -> float | None:
    costs = [cost for cost in run.costs if key in cost] if run else []
    scenes = sum(cost["scenes"] for cost in costs)
    return sum(cost[key] for cost in costs) / scenes if scenes else None


def _hypotheses(run: RunResults) -> float | None:
    files = (run.results / "hypotheses" / run.identity.first_stage.name).glob("[0-9]*/*/cameras.json")
    seconds = [content["seconds"] for content in map(read_json, sorted(files)) if "seconds" in content]
    return sum(seconds) / len(seconds) if seconds else None


def cost_of(run: RunResults, runs: list[RunResults]) -> Cost:
    """The cost of `run`; `runs` are those of the same category and seed, which it may share steps with."""
    entry = ROWS[run.method]
    source = entry.source
    by_method = {other.method: other for other in runs}
    model, warmup, base, first = run.model or {}, run.warmup or {}, run.base or {}, run.identity.first_stage
    shared = entry.trained_by if entry.trained_by != run.method else None
    coarse = by_method.get(coarse_of(run.method))
    peaks = [row["max_rss"] for rule in ("train", "sample", "render") for row in _rows(run, rule) if "max_rss" in row]
    return Cost(
        label=run.label,
        parameters=sum(model["parameters"].values()) if model.get("parameters") else None,
        trained_with=label_of(shared) if shared else None,
        steps=model.get("steps"),
        images=model.get("images"),
        warmup_seconds=warmup.get("seconds") if first.warmup or first.codes else 0.0,
        train_seconds=total([model.get("seconds"), base.get("seconds") if run.identity.base else 0.0]),
        coarse_seconds=_per_scene(coarse, "sample_seconds") if source in (Source.COARSE, Source.HYPOTHESES) else 0.0,
        hypotheses_seconds=_hypotheses(run) if source == Source.HYPOTHESES else 0.0,
        own_seconds=_per_scene(run, "sample_seconds"),
        render_seconds=_per_scene(run, "render_seconds"),
        peak_megabytes=max(peaks, default=None),
        device=model.get("device"),
    )


def _rows(run: RunResults, rule: str) -> list[dict[str, float]]:
    return benchmarks(run.results, rule, run.training_run if rule == "train" else run.name)


def step_seconds(results: Results) -> dict[str, tuple[int, float]]:
    """Jobs and summed wall seconds of every step of the pipeline, from all benchmark files; empty without any."""
    totals = {}
    for step in STEPS:
        rows = [row["s"] for row in benchmarks(results.folder, step, "") if "s" in row]
        if rows:
            totals[step] = (len(rows), sum(rows))
    return totals


def benchmarks(folder: Path, rule: str, name: str) -> list[dict[str, float]]:
    """Rows of Snakemake's benchmark files of a rule: of those called `name` or `name` and a shard; of all if it is "".

    Keys as Snakemake writes them: s (wall seconds), max_rss (MB), ...; values it could not measure are left out.
    """
    rows = []
    for path in sorted((folder / "benchmarks" / rule).rglob("*.tsv")):
        relative = str(path.relative_to(folder / "benchmarks" / rule).with_suffix(""))
        if not name or relative == name or (relative.startswith(name) and relative[len(name)] in "-_./"):
            with open(path, newline="") as file:
                rows += [_numbers(row) for row in csv.DictReader(file, delimiter="\t")]
    return rows


def _numbers(row: dict[str, str]) -> dict[str, float]:
    values = {}
    for key, text in row.items():
        try:
            values[key] = float(text)
        except (TypeError, ValueError):
            continue
    return values
