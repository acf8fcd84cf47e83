"""Two figures of what each method pays: agreement of its views, and seconds, against distance to real images."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holofusion.evaluation.claims import Find, Measured
from holofusion.pipeline.registry import FLOOR
from holofusion.report.cost import Cost
from holofusion.report.figures import ACCENT, FAINT, INK, SECOND, STYLE, Plot, save
from holofusion.report.paper import label_of
from holofusion.report.scores import mean_over_seeds

Point = tuple[str, tuple[float, float | None, float | None], tuple[float, float | None, float | None]]
"""Label, and value with the ends of its interval on the x and on the y axis."""


def consistency_plot(find: Find, methods: list[str], category: str, seeds: list[int], folder: Path) -> Plot | None:
    """How well held-out views are predicted, against kernel distance: both are better towards the upper left."""
    points = []
    for method in methods:
        kernel, psnr = (mean_over_seeds(find, method, metric, seeds) for metric in ("kernel", "consistency_psnr"))
        if kernel and psnr:
            points.append((method, _scaled(kernel, 1000), _scaled(psnr, 1)))
    if not points:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axis = figure.subplots()
        axis.set_xlabel("kernel distance × 1000 to the training objects")
        axis.set_title("PSNR of held-out views, dB: views agree at the top, look real at the left")
        floor = mean_over_seeds(find, FLOOR, "kernel", seeds)
        if floor:
            axis.axvline(floor.value * 1000, color=SECOND, linewidth=1, linestyle=(0, (4, 3)))
        _scatter(axis, points)
        return save(figure, folder, f"consistency-{category}")


def cost_plot(find: Find, costs: dict[str, Cost], category: str, seeds: list[int], folder: Path) -> Plot | None:
    """Kernel distance against seconds for one scene, on a logarithmic axis."""
    points = []
    for method, cost in costs.items():
        kernel = mean_over_seeds(find, method, "kernel", seeds)
        if kernel and cost.scene_seconds:
            points.append((method, (cost.scene_seconds, None, None), _scaled(kernel, 1000)))
    if not points:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axis = figure.subplots()
        axis.set_xscale("log")
        axis.set_xlabel("seconds per scene, shared steps included")
        axis.set_title("Kernel distance × 1000 to the training objects")
        _scatter(axis, points)
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
        return save(figure, folder, f"cost-{category}")


def _scaled(cell: Measured, factor: float) -> tuple[float, float | None, float | None]:
    ends = (None, None) if cell.low is None else (cell.low * factor, cell.high * factor)
    return cell.value * factor, *ends


def _scatter(axis: Axes, points: list[Point]) -> None:
    """Points with their intervals; names stand right of them, moved apart where they would touch."""
    for method, (x, *x_ends), (y, *y_ends) in points:
        colour = ACCENT if method == "holofusion" else INK
        if None not in x_ends:
            axis.plot(x_ends, [y, y], color=colour, alpha=0.35, linewidth=1)
        if None not in y_ends:
            axis.plot([x, x], y_ends, color=colour, alpha=0.35, linewidth=1)
        axis.plot(x, y, "o", color=colour, markersize=5)
    low, high = axis.get_ylim()
    step, height = 0.05 * (high - low), low - high
    for method, (x, *_), (y, *_) in sorted(points, key=lambda point: point[2][0]):
        height = max(y, height + step)
        axis.annotate(
            label_of(method),
            (x, y),
            xytext=(1.02, height),
            textcoords=axis.get_yaxis_transform(),
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkB": 4},
        )
