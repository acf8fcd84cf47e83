"""The numbers of the report: a tidy CSV, the same as Markdown, and the sentences that compare them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holofusion.files import replacing
from holofusion.report.collect import Results
from holofusion.report.paper import CATEGORIES, label_of, published_table

COLUMNS = ("method", "category", "seed", "metric", "value", "low", "high", "n_real", "n_generated")
SUFFIX = {"train": "", "held_out": "_held_out"}

# Pairs whose order the two papers speak about: (expected lower, expected higher).
PAIRS = (
    ("holofusion", "holodiffusion"),
    ("holodiffusion", "holodiffusion_nobootstrap"),
    ("holofusion", "holofusion_mse"),
    ("holofusion", "holofusion_sds"),
    ("holofusion", "holodiffusion_star"),
    ("holodiffusion_star", "holodiffusion"),
)


@dataclass(frozen=True)
class Row:
    """One number: a line of `metrics.csv`. `low` and `high` are None where no interval was made."""

    method: str
    category: str
    seed: int
    metric: str
    value: float
    low: float | None
    high: float | None
    n_real: int
    n_generated: int


def metric_rows(results: Results) -> list[Row]:
    """Every number found, category by category, methods in the order listed, the floor last."""
    rows = []
    categories = list(dict.fromkeys([run.category for run in results.runs] + list(results.floors)))
    for category in categories:
        scored = [run.metrics for run in results.runs if run.category == category]
        for metrics in [*scored, results.floors.get(category)]:
            rows += _rows(metrics) if metrics is not None else []
    return rows


def _rows(metrics: dict[str, Any]) -> list[Row]:
    return [
        Row(
            method=metrics["method"],
            category=metrics["category"],
            seed=metrics["seed"],
            metric=entry["metric"] + SUFFIX[entry["reference"]],
            **{key: entry[key] for key in ("value", "low", "high", "n_real", "n_generated")},
        )
        for entry in metrics["entries"]
    ]


def write_csv(rows: list[Row], path: Path) -> None:
    """Write the tidy table; empty cells where there is no interval."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            cells = [getattr(row, column) for column in COLUMNS]
            writer.writerow(["" if cell is None else cell for cell in cells])


def number(metric: str, value: float | None) -> str:
    """A distance as text: kernel distances times 1000, Fréchet distances as they are, one decimal each."""
    if value is None:
        return ""
    return f"{value * 1000 if is_kernel(metric) else value:.1f}".replace("-", "\u2212")


def is_kernel(metric: str) -> bool:
    return metric.startswith(("kd_", "kid"))


def find(rows: list[Row], method: str, category: str, seed: int, metric: str) -> Row | None:
    """The row of a method's metric. The floor has one row per category, whatever the seed."""
    for row in rows:
        if (row.method, row.category, row.metric) == (method, category, metric):
            if row.seed == seed or method == "real_floor":
                return row
    return None


def metric_columns(rows: list[Row]) -> list[str]:
    """Metric names, kernel distances first (they are unbiased), the training reference before the held-out one."""
    names = list(dict.fromkeys(row.metric for row in rows))
    return sorted(names, key=lambda name: (name.endswith("_held_out"), not is_kernel(name)))


def markdown(rows: list[Row]) -> str:
    """One table per category and seed: methods down, metrics across, kernel distances times 1000 with intervals."""
    columns = metric_columns(rows)
    text = "Kernel distances (`kd_`, `kid`) times 1000, with 95 % intervals; lower is better.\n"
    groups = dict.fromkeys((row.category, row.seed) for row in rows if row.method != "real_floor")
    for category, seed in groups:
        methods = list(dict.fromkeys(row.method for row in rows if row.category == category))
        text += f"\n## {category}, seed {seed}\n\n| method | {' | '.join(columns)} | n |\n"
        text += "|---|" + "---|" * (len(columns) + 1) + "\n"
        for method in methods:
            found = [find(rows, method, category, seed, column) for column in columns]
            if any(found):
                count = next(row.n_generated for row in found if row)
                text += f"| {label_of(method)} | {' | '.join(_cell(row) for row in found)} | {count} |\n"
    return text


def _cell(row: Row | None) -> str:
    if row is None:
        return "not scored"
    interval = f" [{number(row.metric, row.low)}, {number(row.metric, row.high)}]" if row.low is not None else ""
    return number(row.metric, row.value) + interval


@dataclass(frozen=True)
class Comparison:
    """Two methods on one number, and what the paper's table says of the same pair; all computed."""

    first: str
    second: str
    first_value: str
    second_value: str
    verdict: str
    published: str


def comparisons(rows: list[Row], category: str, seed: int, metric: str) -> list[Comparison]:
    """Order of every pair in PAIRS that was scored, by `metric`."""
    found = []
    for names in PAIRS:
        first, second = (find(rows, name, category, seed, metric) for name in names)
        if first is None or second is None:
            continue
        found.append(
            Comparison(
                label_of(names[0]),
                label_of(names[1]),
                number(metric, first.value),
                number(metric, second.value),
                _verdict(first, second),
                _published_order(names, category),
            )
        )
    return found


def _verdict(first: Row, second: Row) -> str:
    word = "lower" if first.value < second.value else "higher"
    if None in (first.low, first.high, second.low, second.high):
        return word
    apart = first.high < second.low or second.high < first.low
    return f"{word}, intervals {'apart' if apart else 'overlap'}"


def _published_order(names: tuple[str, str], category: str) -> str:
    table = published_table()
    where = category if category in CATEGORIES else "mean"
    first, second = ((table[n].kid[category] if where == category else table[n].mean[1]) for n in names)
    word = "lower" if first < second else "higher" if first > second else "equal"
    return f"{word} ({first:.3f} and {second:.3f}, {where})"
