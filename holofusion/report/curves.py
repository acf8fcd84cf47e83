"""Kernel distance against training time, all methods in one figure; and the same as a table."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from holofusion.pipeline.registry import FLOOR, label_of
from holofusion.pipeline.runs import seed_name
from holofusion.report.collect import Curve, Results
from holofusion.report.figures import ACCENT, FAINT, INK, SECOND, STYLE, Plot, save
from holofusion.utils.files import replacing

COLUMNS = (
    "method",
    "category",
    "seed",
    "steps",
    "seconds",
    "images",
    "metric",
    "value",
    "low",
    "high",
    "n_real",
    "n_generated",
)
MARKERS = "osD^vPX*"
GAP = 0.045  # least distance of two labels, share of the axis


def write_curves(curves: list[Curve], path: Path) -> None:
    """Write every point of every curve; `seconds` include the warm-up where there is one."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for curve in curves:
            run = {"method": curve.method, "category": curve.category, "seed": curve.seed}
            for point in curve.points:
                writer.writerow(run | point | {"seconds": round(curve.warmup_seconds + point["seconds"], 1)})


def curve_plot(results: Results, category: str, seed: int, folder: Path) -> Plot | None:
    """One line per training, labelled at its end, with 95 % intervals; and what one repeated training image scores."""
    curves = [curve for curve in results.curves if (curve.category, curve.seed) == (category, seed)]
    if not curves:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.6), layout="constrained")
        axis = figure.subplots()
        for number, curve in enumerate(curves):
            colour = ACCENT if curve.warmup_seconds else (INK, SECOND)[number % 2]
            minutes = [(curve.warmup_seconds + point["seconds"]) / 60 for point in curve.points]
            values = [point["value"] * 1000 for point in curve.points]
            for minute, point in zip(minutes, curve.points, strict=True):
                if point["low"] is not None:
                    axis.plot([minute] * 2, [point["low"] * 1000, point["high"] * 1000], color=colour, alpha=0.3)
            axis.plot(minutes, values, color=colour, linewidth=1.3, marker=MARKERS[number % len(MARKERS)], markersize=5)
        axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
        axis.set_xlim(left=0)
        label_ends(axis, curves)
        floor = results.real.get(category, {}).get(FLOOR, {})
        if "one_image_repeated" in floor:
            axis.axhline(floor["one_image_repeated"] * 1000, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
            axis.annotate(
                "one training image repeated",
                (0, floor["one_image_repeated"] * 1000),
                xytext=(2, 3),
                textcoords="offset points",
                fontsize=8,
                color=FAINT,
            )
        axis.set_title("Kernel distance × 1000 to the training objects")
        axis.set_xlabel("minutes of training")
        axis.xaxis.set_major_locator(MaxNLocator(8))
        axis.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        return save(figure, folder, f"curves-{seed_name(category, seed)}")


def label_ends(axis: Axes, curves: list[Curve]) -> None:
    """Name every line right of its last point, names moved apart where they would touch."""
    top = axis.get_ylim()[1]
    height = -1.0
    for curve in sorted(curves, key=lambda curve: curve.points[-1]["value"]):
        value = curve.points[-1]["value"] * 1000
        height = max(value, height + GAP * top)
        minute = (curve.warmup_seconds + curve.points[-1]["seconds"]) / 60
        axis.annotate(
            label_of(curve.method),
            (minute, value),
            xytext=(1.01, height),
            fontsize=8,
            va="center",
            textcoords=axis.get_yaxis_transform(),
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkB": 5, "relpos": (0, 0.5)},
        )
