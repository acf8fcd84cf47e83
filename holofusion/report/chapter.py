"""Gather what the report shows of one category: numbers over all seeds, pictures of the first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from holofusion.config.evaluation import Report
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.claims import HOLDS, UNTESTED, Measured, Verdict
from holofusion.pipeline.registry import FLOOR
from holofusion.pipeline.runs import seed_name
from holofusion.report import curves, figures, grids, tradeoffs
from holofusion.report.band import Band, band_of
from holofusion.report.claim_lines import ClaimLine, claim_lines
from holofusion.report.collect import Results, RunResults, read_ladders
from holofusion.report.commands import commands, target
from holofusion.report.cost import Cost, cost_of
from holofusion.report.figures import Plot
from holofusion.report.grids import Sheet
from holofusion.report.ladder import LadderSection, ladder_section
from holofusion.report.paper import CATEGORIES
from holofusion.report.scores import GROUPS, Table, finder, mean_over_seeds, score_table
from holofusion.report.terms import Terms, terms_of

ZOOM_SCENES = 3


@dataclass(frozen=True)
class NearestLine:
    """A sample's picture, the nearest training image in words, their distance in feature space."""

    picture: str
    training: str
    distance: float
    memorised: bool


@dataclass(frozen=True)
class NearestTable:
    """A run's label, and of the first picture of every scene the file, the nearest training image and its distance."""

    label: str
    lines: list[NearestLine]


def nearest_tables(runs: list[RunResults], data: PreparedCategory | None) -> list[NearestTable]:
    """The sheet of nearest training images in words, for readers who do not see it."""
    if data is None:
        return []
    owner = {row: f"{name}, image {place + 1}" for name, rows in data.frames.items() for place, row in enumerate(rows)}
    return [
        NearestTable(
            run.label,
            [
                NearestLine(near["picture"], owner[near["row"]], near["distance"], near["memorised"])
                for near in run.metrics["nearest"]
            ],
        )
        for run in runs
        if run.metrics and run.metrics.get("nearest")
    ]


@dataclass(frozen=True)
class Instructions:
    """How to make one run again: with the workflow in one line, or step by step."""

    run: RunResults
    target: str
    commands: list[str]


@dataclass(frozen=True)
class Chapter:
    """Everything the page says of one category; plots, sheets and tables are None or empty where there is nothing.

    best: the row with the least kernel distance, and that distance; floor: that of real held-out images. other: the
    category behind the row `real_other`. verdicts: every claim with the numbers behind it. meshes: (label, sample seed,
    file). unsampled, unturned: labels of rows without samples, without turntables.
    """

    category: str
    seed: int
    runs: list[Instructions]
    tables: list[Table]
    best: tuple[str, Measured] | None
    floor: Measured | None
    other: str | None
    verdicts: list[tuple[Verdict, list[ClaimLine]]]
    distances: Plot | None
    consistency: Plot | None
    spending: Plot | None
    curves: Plot | None
    training: Plot | None
    band: Band | None
    samples: Sheet | None
    zoom: Sheet | None
    turntable: Sheet | None
    nearest: Sheet | None
    nearest_tables: list[NearestTable]
    ladders: list[LadderSection]
    meshes: list[tuple[str, int, Path]]
    terms: list[Terms]
    costs: list[Cost]
    data: PreparedCategory | None
    unsampled: list[str]
    unturned: list[str]

    @property
    def published(self) -> bool:
        """Whether the papers have results of this category."""
        return self.category in CATEGORIES

    @property
    def holding(self) -> int:
        """Number of claims that hold."""
        return sum(verdict.verdict == HOLDS for verdict, _ in self.verdicts)

    @property
    def tested(self) -> int:
        """Number of claims whose rows are there."""
        return sum(verdict.verdict != UNTESTED for verdict, _ in self.verdicts)


def chapter_of(
    results: Results, verdicts: list[Verdict], category: str, seeds: list[int], preset: str, settings: Report
) -> Chapter:
    """Gather the numbers of one category; draw its plots and paste its sheets into `figures/` of the results folder."""
    folder, find = results.folder / "figures", finder(results, category)
    seed = seeds[0]
    runs = results.of(category, seed)
    methods = [run.method for run in runs]
    prepared = results.folder / "data" / category
    data = PreparedCategory.load(prepared) if (prepared / "data.json").is_file() else None
    columns, stem = settings.sample_columns, seed_name(category, seed)
    kernels = {method: mean_over_seeds(find, method, "kernel", seeds) for method in methods}
    costs = {run.method: cost_of(run, runs) for run in runs}
    best = min(((m, k) for m, k in kernels.items() if k), key=lambda pair: pair[1].value, default=None)
    other = results.real.get(category, {}).get("real_other", {})
    return Chapter(
        category=category,
        seed=seed,
        runs=[Instructions(run, target(run, preset), commands(run)) for run in runs],
        tables=[score_table(results, group, category, seeds) for group in GROUPS],
        best=best,
        floor=mean_over_seeds(find, FLOOR, "kernel", seeds),
        other=other.get("other_category"),
        verdicts=[(verdict, claim_lines(verdict, category)) for verdict in verdicts],
        distances=figures.distance_plot(find, methods, category, seeds, folder),
        consistency=tradeoffs.consistency_plot(find, methods, category, seeds, folder),
        spending=tradeoffs.cost_plot(find, costs, category, seeds, folder),
        curves=curves.curve_plot(results, category, seed, folder),
        training=figures.training_plot(results, category, seed, folder),
        band=band_of(runs, best and best[0], data, folder, stem),
        samples=grids.sample_sheet(runs, data, columns, folder / f"samples-{stem}.png"),
        zoom=grids.zoom_sheet(runs, ZOOM_SCENES, folder / f"zoom-{stem}.png"),
        turntable=grids.turntable_sheet(runs, columns, folder / f"turntable-{stem}.webp"),
        nearest=grids.nearest_sheet(runs, data, columns, folder / f"nearest-{stem}.png"),
        nearest_tables=nearest_tables(runs, data),
        ladders=[ladder_section(ladder, results.folder) for ladder in read_ladders(results.folder, category)],
        meshes=viewer_meshes(runs, settings.viewer_scenes),
        terms=terms_of(runs),
        costs=list(costs.values()),
        data=data,
        unsampled=[run.label for run in runs if not run.scenes],
        unturned=[run.label for run in runs if not any(scene.turntable for scene in run.scenes.values())],
    )


def viewer_meshes(runs: list[RunResults], scenes: int) -> list[tuple[str, int, Path]]:
    """(label, sample seed, file) of the first scenes of every run that has surfaces."""
    return [(run.label, seed, path) for run in runs for seed, path in list(run.meshes.items())[:scenes]]
