"""Every number of the page: which there are, where each is found, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from holofusion.evaluation.bootstrap import within
from holofusion.evaluation.claims import Find, Measured, Sum, measure
from holofusion.pipeline.registry import REAL_ROWS
from holofusion.report.collect import Results

ALIASES = {
    # metric of the page: how its name in a metrics file begins, and what it is measured against
    "kernel": (("kd_", "kid"), "train"),
    "frechet": (("fd_", "fid"), "train"),
    "kernel_held_out": (("kd_", "kid"), "held_out"),
    "frechet_held_out": (("fd_", "fid"), "held_out"),
}


@dataclass(frozen=True)
class Column:
    """One metric. scale: factor it is written with; better: "low", "high", or "" where neither end is good."""

    metric: str
    title: str
    scale: float = 1.0
    digits: int = 2
    better: str = ""

    def text(self, value: float | None) -> str:
        """The value as written; empty for None."""
        return "" if value is None else f"{value * self.scale:.{self.digits}f}".replace("-", "\u2212")


@dataclass(frozen=True)
class Group:
    """One table: its columns, and what a reader has to know of them."""

    name: str
    title: str
    columns: tuple[Column, ...]
    note: str


GROUPS = (
    Group(
        "distances",
        "Distance to real images",
        (
            Column("kernel", "Kernel distance × 1000", 1000, 1, "low"),
            Column("frechet", "Fréchet distance", 1, 1, "low"),
            Column("kernel_held_out", "Kernel distance × 1000, held-out objects", 1000, 1, "low"),
            Column("frechet_held_out", "Fréchet distance, held-out objects", 1, 1, "low"),
        ),
        "The kernel distance leads: it is unbiased, whereas the Fréchet distance shrinks as images are added; rows have "
        "the same number of images unless they say otherwise. The first two columns compare with the training objects.",
    ),
    Group(
        "distribution",
        "Fidelity and variety apart",
        (
            Column("precision", "Precision", better="high"),
            Column("recall", "Recall", better="high"),
            Column("density", "Density", better="high"),
            Column("coverage", "Coverage", better="high"),
            Column("diversity", "Diversity"),
            Column("sharpness", "Sharpness"),
            Column("memorised", "Memorised"),
        ),
        "Precision and density say how many samples look real, recall and coverage how much of the real variety they reach. "
        "Diversity (mean feature distance between objects) and sharpness (fine detail inside the object) are shares of the "
        "real images' value: 1 is right, more is noise. Memorised: samples nearer to a training image than all but 5 % of "
        "real held-out images; the row of copies shows what a generator scores that repeats its training objects.",
    ),
    Group(
        "consistency",
        "Agreement of the views",
        (
            Column("consistency_psnr", "Held-out views, PSNR dB", digits=1, better="high"),
            Column("consistency_ssim", "Held-out views, SSIM", digits=3, better="high"),
            Column("depth_warp", "Depth-warp error × 1000", 1000, 1, "low"),
            Column("depth_warp_seen", "Share compared", digits=2),
            Column("depth_spread", "Depth spread", digits=3),
            Column("translucency", "Translucency", digits=2),
        ),
        "A fresh static field is fitted to half of a scene's views and compared with the other half, over the object's "
        "pixels. Views that show one solid object can be predicted; what each view makes up on its own cannot. Fine texture "
        "and hard outlines cost PSNR as well, so compare rows of like sharpness: HoloDiffusion, HoloFusion and its ablations "
        "are solid by construction and show what their detail costs, GET3D's meshes what unsmoothed outlines cost. "
        "Depth spread near 0 is a flat card, translucency near 1 is fog: "
        "either can make views agree without being an object.",
    ),
    Group(
        "geometry",
        "Surfaces",
        (
            Column("chamfer_coverage", "Shapes covered", better="high"),
            Column("chamfer_mmd", "Minimum matching distance × 1000", 1000, 1, "low"),
            Column("mesh_components", "Components", digits=1, better="low"),
            Column("floaters", "Floaters, share of surface", digits=3, better="low"),
            Column("mesh_faces", "Faces", digits=0),
            Column("empty_meshes", "Scenes without a surface", digits=0, better="low"),
        ),
        "Marching cubes on the density (for GET3D its own mesh). On embedded data the true surfaces are known: the share of "
        "them that is nearest to some sample, and the mean chamfer distance of each to its nearest sample, in units of half "
        "the cube's side; as many true shapes as samples. Floaters lie outside the largest connected component.",
    ),
)


COLUMNS = {column.metric: column for group in GROUPS for column in group.columns}


def finder(results: Results, category: str) -> Find:
    """A function (method, metric, seed) -> entry, for rows and real rows (which serve all seeds) of one category."""
    entries: dict[tuple[str, str, int | None], dict[str, Any]] = {}
    for run in results.runs:
        if run.category == category:
            entries |= {(run.method, entry_name(entry), run.seed): entry for entry in run.entries}
    for row, found in results.real.get(category, {}).items():
        entries |= {(row, entry_name(entry), None): entry for entry in found["entries"]}

    def find(method: str, metric: str, seed: int) -> dict[str, Any] | None:
        return entries.get((method, metric, None if method in REAL_ROWS else seed))

    return find


def entry_name(entry: dict[str, Any]) -> str:
    """The page's name of an entry's metric."""
    for name, (starts, reference) in ALIASES.items():
        if entry["metric"].startswith(starts) and entry["reference"] == reference:
            return name
    return entry["metric"]


def mean_over_seeds(find: Find, method: str, metric: str, seeds: list[int]) -> Measured | None:
    """A method's metric, averaged over the seeds, with the interval of that mean; None if any is missing."""
    found = measure(Sum(metric, {method: 1.0}), find, seeds[:1] if method in REAL_ROWS else seeds)
    if isinstance(found, list):
        return None
    low, high = within(metric, found.low, found.high)
    return replace(found, low=low, high=high)


def score_table(results: Results, group: Group, category: str, seeds: list[int]) -> dict[str, Any]:
    """One table: a line per row run, then the real rows; of each column's values over the rows run, the best is marked."""
    find = finder(results, category)
    methods = list(dict.fromkeys(run.method for run in results.runs if run.category == category))
    rows = [*methods, *(row for row in REAL_ROWS if row in results.real.get(category, {}))]
    cells = {(row, c.metric): mean_over_seeds(find, row, c.metric, seeds) for row in rows for c in group.columns}
    columns = [c for c in group.columns if any(cells[row, c.metric] for row in methods)]
    best = {}
    for column in columns:
        values = [cells[row, column.metric].value for row in methods if cells[row, column.metric]]
        ends = {"low": min(values), "high": max(values)}
        best[column.metric] = ends.get(column.better) if ends["low"] < ends["high"] else None
    lines = []
    for row in rows:
        found = [cells[row, column.metric] for column in columns]
        if row in methods or any(found):
            pairs = zip(columns, found, strict=True)
            shown = [(c, cell, row in methods and bool(cell) and cell.value == best[c.metric]) for c, cell in pairs]
            scored = find(row, columns[0].metric, seeds[0]) if columns else None
            images = scored.get("n_generated") if scored else None
            lines.append({"method": row, "real": row in REAL_ROWS, "cells": shown, "images": images})
    return {"group": group, "columns": columns, "lines": lines, "images": lines[0]["images"] if lines else None}
