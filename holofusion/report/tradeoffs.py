"""Scatter plots of what each method pays: view consistency, and seconds, against the distance to real images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from holofusion.evaluation.claims import CODES, FEATURES, Find, Measured
from holofusion.evaluation.metrics import METRICS
from holofusion.pipeline.registry import FLOOR, label_of
from holofusion.report.cost import Cost
from holofusion.report.figures import ACCENT, FAINT, INK, SECOND, STYLE, Plot, save
from holofusion.report.scores import mean_over_seeds

LABEL_GAP = 0.05  # least distance of two names, share of the axis
DISTANCE = "kernel distance × 1000 to the training objects"


@dataclass(frozen=True)
class Value:
    """A number on an axis, with the ends of its interval or None."""

    at: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, metric: str, cell: Measured) -> Value:
        """A measured number in the units that its metric is written in."""
        scale = METRICS[metric].scale
        if cell.low is None or cell.high is None:
            return cls(cell.value * scale)
        return cls(cell.value * scale, cell.low * scale, cell.high * scale)


@dataclass(frozen=True)
class Axis:
    """One axis of a scatter plot. from_zero: begins at zero, or below where a value is; line: a reference value."""

    label: str
    logarithmic: bool = False
    from_zero: bool = False
    line: float | None = None


def consistency_plot(find: Find, methods: list[str], category: str, seeds: list[int], folder: Path) -> Plot | None:
    """PSNR of held-out views against kernel distance; better towards the upper left. None without numbers."""
    points = {}
    for method in methods:
        kernel, psnr = (mean_over_seeds(find, method, metric, seeds) for metric in ("kernel", "consistency_psnr"))
        if kernel and psnr:
            points[method] = Value.of("kernel", kernel), Value.of("consistency_psnr", psnr)
    floor = mean_over_seeds(find, FLOOR, "kernel", seeds)
    x = Axis(DISTANCE, line=Value.of("kernel", floor).at if floor else None)
    y = Axis("PSNR of held-out views, dB: views agree at the top, look real at the left")
    return scatter_plot(points, x, y, 4.0, folder, f"consistency-{category}")


def cost_plot(find: Find, costs: dict[str, Cost], category: str, seeds: list[int], folder: Path) -> Plot | None:
    """Kernel distance against seconds for one scene, on a logarithmic axis. None without numbers."""
    points = {}
    for method, cost in costs.items():
        kernel = mean_over_seeds(find, method, "kernel", seeds)
        if kernel and cost.scene_seconds:
            points[method] = Value(cost.scene_seconds), Value.of("kernel", kernel)
    x = Axis("seconds per scene, shared steps included", logarithmic=True)
    y = Axis(DISTANCE[0].upper() + DISTANCE[1:], from_zero=True)
    return scatter_plot(points, x, y, 3.6, folder, f"cost-{category}")


def scatter_plot(
    points: dict[str, tuple[Value, Value]], x: Axis, y: Axis, height: float, folder: Path, name: str
) -> Plot | None:
    """One dot per method at (x, y) with its intervals, names at the right edge; `height` in inches. None without points."""
    if not points:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, height), layout="constrained")
        axes = figure.subplots()
        if x.logarithmic:
            axes.set_xscale("log")
        axes.set_xlabel(x.label)
        axes.set_title(y.label)
        if x.line is not None:
            axes.axvline(x.line, color=SECOND, linewidth=1, linestyle=(0, (4, 3)))
        for method, (across, up) in points.items():
            colour, above = (ACCENT, 3) if method in (CODES.fused, FEATURES.fused) else (INK, 2)
            if across.low is not None and across.high is not None:
                axes.plot([across.low, across.high], [up.at, up.at], color=colour, alpha=0.35, linewidth=1)
            if up.low is not None and up.high is not None:
                axes.plot([across.at, across.at], [up.low, up.high], color=colour, alpha=0.35, linewidth=1)
            axes.plot(across.at, up.at, "o", color=colour, markersize=5, zorder=above)
        if y.from_zero:
            axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        _name(axes, points)
        return save(figure, folder, name)


def _name(axes: Axes, points: dict[str, tuple[Value, Value]]) -> None:
    """Write every method's name right of the plot at its dot's height, moved apart where two would touch."""
    low, high = axes.get_ylim()
    step, height = LABEL_GAP * (high - low), low - high
    for method, (across, up) in sorted(points.items(), key=lambda item: item[1][1].at):
        height = max(up.at, height + step)
        axes.annotate(
            label_of(method),
            (across.at, up.at),
            xytext=(1.02, height),
            textcoords=axes.get_yaxis_transform(),
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkB": 4, "relpos": (0, 0.5)},
        )
