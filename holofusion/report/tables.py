"""The tables as files: a tidy CSV of every number, and the page's tables as CSV, Markdown, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from holofusion.evaluation.claims import Measured, Verdict
from holofusion.evaluation.metrics import Metric
from holofusion.pipeline.registry import label_of
from holofusion.report.collect import Results
from holofusion.report.scores import GROUPS, Table, score_table
from holofusion.utils.files import replacing, write_json

COLUMNS = ("method", "category", "seed", "metric", "value", "low", "high", "n_real", "n_generated")
SUFFIX = {"held_out": "_held_out"}
ESCAPES = {
    "%": r"\%",
    "*": r"\textsuperscript{*}",
    "\u00d7": r"$\times$",
    "\u2212": "$-$",
    "\u00e9": r"\'e",
    "_": r"\_",
}


def tidy(results: Results) -> list[dict[str, Any]]:
    """Every number measured, category by category, methods in the order listed, the real rows last."""
    rows = []
    for category in dict.fromkeys([*(run.category for run in results.runs), *results.real]):
        numbers = [
            (run.method, run.seed, entry) for run in results.runs if run.category == category for entry in run.entries
        ]
        numbers += [
            (row, 0, entry) for row, real in results.real.get(category, {}).items() for entry in real["entries"]
        ]
        for method, seed, entry in numbers:
            metric = entry["metric"] + SUFFIX.get(entry["reference"] or "", "")
            rows.append({"method": method, "category": category, "seed": seed, **entry, "metric": metric})
    return rows


def write_tables(results: Results, verdicts: dict[str, list[Verdict]], seeds: list[int], folder: Path) -> None:
    """Write metrics.csv (tidy), metrics.md, metrics.tex, metrics.json and claims.csv to `folder`."""
    rows = tidy(results)
    _write(folder / "metrics.csv", _csv(COLUMNS, [[row.get(column) for column in COLUMNS] for row in rows]))
    tables = {c: [t for group in GROUPS if (t := score_table(results, group, c, seeds)).columns] for c in verdicts}
    _write(folder / "metrics.md", "\n".join(markdown(t, c, seeds) for c, shown in tables.items() for t in shown))
    _write(folder / "metrics.tex", "\n".join(latex(t, c, seeds) for c, shown in tables.items() for t in shown))
    nested: dict[str, Any] = {}
    for row in rows:  # the mean over seeds, for `dvc metrics`
        nested.setdefault(row["category"], {}).setdefault(row["method"], {}).setdefault(row["metric"], []).append(
            row["value"]
        )
    means = {c: {m: {k: sum(v) / len(v) for k, v in kv.items()} for m, kv in mk.items()} for c, mk in nested.items()}
    write_json(folder / "metrics.json", means)
    lines = [
        [category, v.claim.name, v.verdict, *_numbers(part), v.claim.text]
        for category, judged in verdicts.items()
        for v in judged
        for part in v.measured or [None]
    ]
    header = ("category", "claim", "verdict", "metric", "value", "low", "high", "text")
    _write(folder / "claims.csv", _csv(header, lines))


def _numbers(part: Measured | None) -> list[Any]:
    return [None] * 4 if part is None else [part.sum.metric, part.value, part.low, part.high]


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def _csv(header: tuple[str, ...], rows: list[list[Any]]) -> str:
    """Text of a CSV file; empty cells where there is no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return out.getvalue()


def title_of(table: Table, category: str, seeds: list[int]) -> str:
    """What a table shows, in words."""
    over = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over seeds {', '.join(map(str, seeds))}"
    return f"{table.group.title}: {category}, {over}"


def cell_text(column: Metric, cell: Measured | None) -> str:
    """Value and interval as text; a dash where nothing was measured."""
    if cell is None:
        return "\u2013"
    interval = f" [{column.text(cell.low)}, {column.text(cell.high)}]" if cell.low is not None else ""
    return column.text(cell.value) + interval


def markdown(table: Table, category: str, seeds: list[int]) -> str:
    """One table, methods down, values with 95 % intervals across."""
    titles = [column.heading for column in table.columns]
    lines = [
        f"## {title_of(table, category, seeds)}",
        "",
        f"| method | {' | '.join(titles)} |",
        "|---" * (len(titles) + 1) + "|",
    ]
    for line in table.lines:
        cells = " | ".join(cell_text(column, cell) for column, cell, _ in line.cells)
        lines.append(f"| {label_of(line.method)} | {cells} |".replace("*", r"\*"))
    return "\n".join([*lines, ""])


def latex(table: Table, category: str, seeds: list[int]) -> str:
    """The same as a booktabs table; intervals small, the best of each column bold."""

    def escaped(text: str) -> str:
        return "".join(ESCAPES.get(letter, letter) for letter in text)

    def written(column: Metric, cell: Measured | None, best: bool) -> str:
        if cell is None:
            return "--"
        value = escaped(column.text(cell.value))
        value = rf"\textbf{{{value}}}" if best else value
        ends = f"[{column.text(cell.low)}, {column.text(cell.high)}]" if cell.low is not None else ""
        return rf"{value} {{\scriptsize {escaped(ends)}}}" if ends else value

    head = " & ".join(["Method", *(escaped(column.heading) for column in table.columns)])
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(title_of(table, category, seeds))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
    ]
    before = False
    for line in table.lines:
        if line.real and not before:
            lines.append(r"\midrule")
        before = line.real
        cells = [written(*cell) for cell in line.cells]
        lines.append(" & ".join([escaped(label_of(line.method)), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])
