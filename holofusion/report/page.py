"""The report: one HTML file with every picture, plot and style inside it. Works offline and without scripts."""

from __future__ import annotations

import base64
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from holofusion.data.views import PreparedCategory
from holofusion.files import replacing
from holofusion.logs import duration, say
from holofusion.report import curves, figures, grids, tables
from holofusion.report.collect import Results, Run, read_results
from holofusion.report.commands import commands, target
from holofusion.report.cost import cost_of, step_seconds
from holofusion.report.paper import CATEGORIES, SOURCES, label_of, published_table
from holofusion.report.settings_table import settings_table
from holofusion.report.terms import terms_of

ZOOM_SCENES = 3
MEDIA = {".png": "image/png", ".webp": "image/webp"}
PACKAGES = ("torch", "torchvision", "easypytorch3d", "torch-fidelity", "numpy", "pillow", "snakemake")


def data_uri(path: Path) -> str:
    """The file's bytes as a `data:` address."""
    return f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def machine() -> str:
    """Processor, cores and memory of the machine the report is written on, in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB memory"


def versions(runs: list[Run]) -> dict[str, list[str]]:
    """Versions of the packages the results rest on: those the models were trained with, and those installed now."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        try:
            found.setdefault(package, set()).add(version(package))
        except PackageNotFoundError:
            continue
    for run in runs:
        for package, used in ((run.model or {}).get("versions") or {}).items():
            found.setdefault(package, set()).add(used)
    return {"python": [platform.python_version()], **{package: sorted(used) for package, used in found.items()}}


def commits(runs: list[Run]) -> list[str]:
    """Distinct code versions the models were trained from."""
    return sorted({run.model["git_commit"] for run in runs if run.model and run.model.get("git_commit")})


def score_table(results: Results, rows: list[tables.Row], category: str, seed: int) -> dict[str, Any]:
    """Cells of the main table: one line per method listed, the floor last; the best of each column marked."""
    columns = tables.metric_columns([row for row in rows if row.category == category])
    methods = [run.method for run in results.of(category, seed)]
    found = {(m, c): tables.find(rows, m, category, seed, c) for m in [*methods, "real_floor"] for c in columns}
    best = {c: min((row.value for m in methods if (row := found[m, c])), default=None) for c in columns}
    lines = []
    for method in [*methods, "real_floor"]:
        cells = [found[method, column] for column in columns]
        if method == "real_floor" and not any(cells):
            continue
        count = next((row.n_generated for row in cells if row), None)
        lines.append(
            {
                "label": label_of(method),
                "floor": method == "real_floor",
                "cells": [
                    {
                        "value": tables.number(row.metric, row.value) if row else None,
                        "interval": (tables.number(row.metric, row.low), tables.number(row.metric, row.high))
                        if row and row.low is not None
                        else None,
                        "best": row is not None and method != "real_floor" and row.value == best[column],
                    }
                    for row, column in zip(cells, columns, strict=True)
                ],
                "count": count,
                "paper": published_table().get(method),
            }
        )
    counts = {line["count"] for line in lines if line["count"]}
    return {"columns": columns, "lines": lines, "counts_differ": len(counts) > 1}


def best_row(rows: list[tables.Row], methods: list[str], category: str, seed: int, metric: str) -> tables.Row | None:
    """The row with the lowest value among the methods; None if none was scored."""
    found = [tables.find(rows, method, category, seed, metric) for method in methods]
    return min((row for row in found if row), key=lambda row: row.value, default=None)


def chapter(results: Results, rows: list[tables.Row], category: str, seeds: list[int], settings: Any) -> dict[str, Any]:
    """Everything the page says of one category: numbers for all seeds, pictures and curves for the first."""
    seed, folder = seeds[0], results.folder / "figures"
    runs = results.of(category, seed)
    prepared = results.folder / "data" / category
    data = PreparedCategory.load(prepared) if (prepared / "data.json").is_file() else None
    columns = settings.report.sample_columns
    names = tables.metric_columns([row for row in rows if row.category == category])
    metric = next((name for name in names if tables.is_kernel(name)), None)
    methods = [run.method for run in runs]
    stem = f"{category}-s{seed}"
    return {
        "category": category,
        "seed": seed,
        "metric": metric,
        "published": category in CATEGORIES,
        "tables": [(number, score_table(results, rows, category, number)) for number in seeds],
        "best": best_row(rows, methods, category, seed, metric) if metric else None,
        "floor": tables.find(rows, "real_floor", category, seed, metric) if metric else None,
        "comparisons": tables.comparisons(rows, category, seed, metric) if metric else [],
        "distances": figures.distance_plot(rows, methods, category, seed, metric, folder) if metric else None,
        "curves": curves.curve_plot(results, category, seed, folder),
        "training": figures.training_plot(results, category, seed, folder),
        "samples": grids.sample_sheet(runs, data, columns, folder / f"samples-{stem}.png"),
        "zoom": grids.zoom_sheet(runs, ZOOM_SCENES, folder / f"zoom-{stem}.png"),
        "turntable": grids.turntable_sheet(runs, columns, folder / f"turntable-{stem}.webp"),
        "terms": terms_of(runs),
        "costs": [cost_of(run, runs) for run in runs],
        "data": data,
        "untold": {
            "samples": [run.label for run in runs if not run.scenes],
            "turntables": [run.label for run in runs if not any(s.turntable for s in run.scenes.values())],
        },
        "runs": [{"run": run, "commands": commands(run), "target": target(run, settings.preset)} for run in runs],
    }


def run_report(resolved: Any, results: Path, out: Path) -> None:
    """Write tables/metrics.csv, tables/metrics.md, figures/* below `results`, and the page to `out`.

    What is absent (a method without views, a turntable, a score) is named on the page. Raises UserError if a metrics
    file was made with other settings than those now in force, or a picture cannot be read.
    """
    settings, folder = resolved.settings, Path(results)
    found = read_results(folder, settings.methods, settings.categories, settings.seeds)
    rows = tables.metric_rows(found)
    tables.write_csv(rows, folder / "tables" / "metrics.csv")
    curves.write_curves(found.curves, folder / "tables" / "curves.csv")
    with replacing(folder / "tables" / "metrics.md") as temporary:
        temporary.write_text(tables.markdown(rows))
    chapters = [chapter(found, rows, category, settings.seeds, settings) for category in settings.categories]
    seconds = step_seconds(found)
    environment = Environment(
        loader=PackageLoader("holofusion.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration, number=tables.number, label=label_of, safe_svg=Markup, data_uri=data_uri, spoken=spoken
    )
    networks = {run.metrics["feature_network"] for run in found.runs if run.metrics}
    page = environment.get_template("page.html.j2").render(
        css=Markup((Path(__file__).parent / "templates" / "page.css").read_text()),
        settings=settings,
        chapters=chapters,
        missing=found.missing,
        made=datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        machine=machine(),
        devices=sorted({run.model["device"] for run in found.runs if run.model and run.model.get("device")}),
        steps=seconds,
        total=sum(value for _, value in seconds.values()),
        networks=sorted(networks),
        published=list(published_table().values()),
        sources=SOURCES,
        paper_categories=CATEGORIES,
        options=settings_table(folder, found.runs),
        versions=versions(found.runs),
        commits=commits(found.runs),
    )
    with replacing(out) as temporary:
        temporary.write_text(page)
    say(f"{out}: {len(page) / 2**20:.1f} MiB, opens in any browser")


def spoken(items: list[str]) -> str:
    """A list as words: `a`, `a and b`, `a, b and c`."""
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
