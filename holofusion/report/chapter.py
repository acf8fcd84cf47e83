"""What the page says of one category: numbers over all seeds, pictures of the first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.claims import CLAIMS, HOLDS, Sum, Verdict, judge
from holofusion.evaluation.metrics import METRICS
from holofusion.pipeline.registry import FLOOR
from holofusion.report import curves, figures, grids, tradeoffs
from holofusion.report.collect import Results, Run
from holofusion.report.commands import commands, target
from holofusion.report.cost import cost_of
from holofusion.report.paper import CATEGORIES, label_of, published_table
from holofusion.report.scores import GROUPS, finder, mean_over_seeds, score_table
from holofusion.report.terms import terms_of

ZOOM_SCENES = 3


def verdicts_of(results: Results, category: str, seeds: list[int]) -> list[Verdict]:
    """Every claim, judged on this category."""
    methods = list(dict.fromkeys(run.method for run in results.runs if run.category == category))
    find = finder(results, category)
    return [judge(claim, find, seeds, methods) for claim in CLAIMS]


@dataclass(frozen=True)
class Line:
    """One sum of a claim in words: what is subtracted from what, its value, and the same sum of the published numbers."""

    what: str
    value: str
    interval: str
    seeds: str
    published: str


def claim_lines(verdict: Verdict, category: str) -> list[Line]:
    """The numbers behind a verdict."""
    lines = []
    for part in verdict.measured:
        column = METRICS[part.sum.metric]
        ends = "" if part.low is None else f"{column.text(part.low)} to {column.text(part.high)}"
        seeds = ", ".join(map(column.text, part.seeds)) if len(part.seeds) > 1 else ""
        lines.append(Line(in_words(part.sum), column.text(part.value), ends, seeds, published_sum(part.sum, category)))
    return lines


def in_words(part: Sum) -> str:
    """`A \u2212 B`, or with factors: what the sum adds and subtracts."""
    text = ""
    for method, weight in part.weights.items():
        sign = "\u2212" if weight < 0 else "+" if text else ""
        factor = "" if abs(weight) == 1 else f"{abs(weight):g} × "
        text += f" {sign} {factor}{label_of(method)}"
    return text.strip(" ")


def published_sum(part: Sum, category: str) -> str:
    """The same sum of the published KID × 1000: of this category where it is in the paper, else of the mean."""
    table = published_table()
    if part.metric != "kernel" or not set(part.weights) <= set(table):
        return ""
    where = category if category in CATEGORIES else "mean"
    kid = {name: table[name].kid[category] if where == category else table[name].mean[1] for name in part.weights}
    value = sum(weight * kid[name] for name, weight in part.weights.items())
    return f"{METRICS['kernel'].text(value)} ({where})"


def nearest_table(runs: list[Run], data: PreparedCategory | None) -> list[dict[str, Any]]:
    """Per run the first picture of every scene, the nearest training image and its distance; for readers of words."""
    if data is None:
        return []
    owner = {row: f"{name}, image {place + 1}" for name, rows in data.frames.items() for place, row in enumerate(rows)}
    return [
        {"label": run.label, "lines": [entry | {"training": owner[entry["row"]]} for entry in run.metrics["nearest"]]}
        for run in runs
        if run.metrics and run.metrics.get("nearest")
    ]


def viewer_meshes(runs: list[Run], scenes: int) -> list[tuple[str, int, Path]]:
    """(label, sample seed, .ply) of the first scenes of every run that has surfaces."""
    return [(run.label, seed, path) for run in runs for seed, path in list(run.meshes.items())[:scenes]]


def chapter(
    results: Results, verdicts: list[Verdict], category: str, seeds: list[int], settings: Any
) -> dict[str, Any]:
    """Everything the template needs of one category."""
    seed, folder, find = seeds[0], results.folder / "figures", finder(results, category)
    runs = results.of(category, seed)
    methods = [run.method for run in runs]
    prepared = results.folder / "data" / category
    data = PreparedCategory.load(prepared) if (prepared / "data.json").is_file() else None
    columns, stem = settings.report.sample_columns, f"{category}-s{seed}"
    scored = [(method, mean_over_seeds(find, method, "kernel", seeds)) for method in methods]
    costs = {run.method: cost_of(run, runs) for run in runs}
    real = results.real.get(category, {})
    return {
        "category": category,
        "seed": seed,
        "published": category in CATEGORIES,
        "tables": [score_table(results, group, category, seeds) for group in GROUPS],
        "best": min((pair for pair in scored if pair[1]), key=lambda pair: pair[1].value, default=None),
        "floor": mean_over_seeds(find, FLOOR, "kernel", seeds),
        "other": (real.get("real_other") or {}).get("other_category"),
        "verdicts": [(verdict, claim_lines(verdict, category)) for verdict in verdicts],
        "holding": sum(verdict.verdict == HOLDS for verdict in verdicts),
        "distances": figures.distance_plot(find, methods, category, seeds, folder),
        "agreement": tradeoffs.consistency_plot(find, methods, category, seeds, folder),
        "spending": tradeoffs.cost_plot(find, costs, category, seeds, folder),
        "curves": curves.curve_plot(results, category, seed, folder),
        "training": figures.training_plot(results, category, seed, folder),
        "samples": grids.sample_sheet(runs, data, columns, folder / f"samples-{stem}.png"),
        "zoom": grids.zoom_sheet(runs, ZOOM_SCENES, folder / f"zoom-{stem}.png"),
        "turntable": grids.turntable_sheet(runs, columns, folder / f"turntable-{stem}.webp"),
        "nearest": grids.nearest_sheet(runs, data, columns, folder / f"nearest-{stem}.png"),
        "nearest_table": nearest_table(runs, data),
        "meshes": viewer_meshes(runs, settings.report.viewer_scenes),
        "terms": terms_of(runs),
        "costs": list(costs.values()),
        "data": data,
        "untold": {
            "samples": [run.label for run in runs if not run.scenes],
            "turntables": [run.label for run in runs if not any(s.turntable for s in run.scenes.values())],
        },
        "runs": [{"run": run, "commands": commands(run), "target": target(run, settings.preset)} for run in runs],
    }
