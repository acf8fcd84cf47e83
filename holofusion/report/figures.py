"""Plots: kernel distances with intervals beside the published ones, and training curves. PNG, SVG, and SVG to inline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from holofusion.evaluation.claims import CODES, FEATURES, Find
from holofusion.pipeline.registry import FLOOR, label_of
from holofusion.pipeline.runs import seed_name
from holofusion.report.collect import Results, read_log
from holofusion.report.paper import published_table
from holofusion.report.scores import mean_over_seeds
from holofusion.utils.files import replacing

# Plot colours, and the CSS variable each becomes on the page, where light and dark give them other values.
INK, FAINT, ACCENT, SECOND = "#23221f", "#8a877f", "#b4491f", "#2f6f8f"
VARIABLES = {INK: "var(--ink)", FAINT: "var(--muted)", ACCENT: "var(--accent)", SECOND: "var(--second)"}
SMOOTHING = 0.05  # half the window of the smoothed curve, share of the run
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "holofusion",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.dpi": 160,
}


@dataclass(frozen=True)
class Plot:
    """A saved plot: its files, and the SVG text ready to stand inside the page."""

    png: Path
    svg: Path
    inline: str


def save(figure: Figure, folder: Path, name: str) -> Plot:
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with replacing(png) as temporary:
        figure.savefig(temporary, facecolor="white")
    with replacing(svg) as temporary:
        figure.savefig(temporary, metadata={"Date": None})
    return Plot(png, svg, inline_svg(svg.read_text(), name))


def inline_svg(text: str, prefix: str) -> str:
    """SVG text made fit for a page: no prolog or metadata, ids of its own, page fonts, colours as CSS variables."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"font: ([^;\"]*?)(\d+(?:\.\d+)?px)[^;\"]*", r"font: \1\2 var(--sans)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    return re.sub(r'width="[^"]+pt"|height="[^"]+pt"', "", text, count=2)


def distance_plot(find: Find, methods: list[str], category: str, seeds: list[int], folder: Path) -> Plot | None:
    """Kernel distance of every method with its interval, and the floor's line; beside it the published KID, if any."""
    kernels = {method: mean_over_seeds(find, method, "kernel", seeds) for method in methods}
    measured = [(method, kernel) for method, kernel in kernels.items() if kernel]
    if not measured:
        return None
    floor = mean_over_seeds(find, FLOOR, "kernel", seeds)
    table = published_table()
    published = {method: table[method].kid.get(category) for method, _ in measured if method in table}
    panels = 2 if any(published.values()) else 1
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * panels + 1.2, 0.34 * len(measured) + 1.1), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, panels, sharey=True))
        for place, (method, cell) in enumerate(measured):
            colour = ACCENT if method in (CODES.fused, FEATURES.fused) else INK
            if cell.low is not None and cell.high is not None:
                axes[0].plot([cell.low * 1000, cell.high * 1000], [place, place], color=colour, linewidth=1.4)
            axes[0].plot(cell.value * 1000, place, "o", color=colour, markersize=5.5)
            kid = published.get(method)
            if panels == 2 and kid:
                axes[1].plot(kid * 1000, place, "o", color=colour, markersize=5.5)
        if floor is not None:
            axes[0].axvline(floor.value * 1000, color=SECOND, linewidth=1, linestyle=(0, (4, 3)))
            axes[0].annotate(
                "real images",
                (floor.value * 1000, -0.75),
                color=SECOND,
                fontsize=8,
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
            )
        titles = ("This run: kernel distance × 1000", f"Published: KID × 1000, {category}")
        for axis, title in zip(axes, titles, strict=False):
            axis.set_title(title, pad=12)
            axis.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
            axis.tick_params(axis="y", length=0)
            axis.spines["left"].set_visible(False)
            axis.set_xlim(left=min(0, axis.get_xlim()[0]))
        axes[0].set_yticks(range(len(measured)), [label_of(method) for method, _ in measured])
        axes[0].set_ylim(len(measured) - 0.5, -1)
        return save(figure, folder, f"kernel_distance-{category}")


def smoothed(values: np.ndarray) -> np.ndarray:
    """Geometric moving average over a centred window, which neither lags nor bends on a log axis.

    NaN in `values` (n,) is passed over; the result is NaN where nothing lies within the window.
    """
    reach = max(1, round(SMOOTHING * len(values)))
    window = np.hanning(2 * reach + 3)[1:-1]
    known = np.isfinite(values)
    total = np.convolve(np.where(known, np.log(values, where=known, out=np.zeros(len(values))), 0), window)
    weight = np.convolve(known.astype(float), window)
    middle = slice(reach, reach + len(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.exp(total[middle] / weight[middle])


def training_plot(results: Results, category: str, seed: int, folder: Path) -> Plot | None:
    """Losses over steps, on log axes, one panel per part: a row for the warm-up, one for the trainings on top of it, and one
    for each method that trains by itself, whose losses compare with no other's. What is never above zero is left out."""
    shown = [run.identity for run in results.of(category, seed)]
    warmups = dict.fromkeys(run.warmup for run in shown if run.warmup)
    logs = [("warm-up", "warm-up", read_log(results.folder / "warmup" / name / "log.jsonl")) for name in warmups]
    for training in dict.fromkeys(run.training for run in shown):
        path, method = results.folder / "runs" / training.name / "log.jsonl", training.method
        stage = "training" if training.warmup else label_of(method)
        logs.append((stage, label_of(method), read_log(path)))
    panels: dict[str, dict[str, list[tuple[str, dict[str, list[float]]]]]] = {}
    for stage, label, log in logs:
        drawn = [key for key in log if key not in ("step", "seconds") and any(value > 0 for value in log[key])]
        for part in sorted(drawn, key=lambda key: key != "loss"):
            panels.setdefault(stage, {}).setdefault(part, []).append((label, log))
    if not panels:
        return None
    columns = max(len(parts) for parts in panels.values())
    together = [label for stage, label, _ in logs if stage == "training"]
    colours = dict(zip(together, [ACCENT, SECOND, FAINT], strict=False))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(2.3 * columns, 4.6), 1.9 * len(panels) + 0.3), layout="constrained")
        axes = figure.subplots(len(panels), columns, squeeze=False)
        for row, (stage, parts) in zip(axes, panels.items(), strict=True):
            for axis, (part, lines) in zip(row, parts.items(), strict=False):
                for label, log in lines:
                    _curve(axis, log["step"], log[part], colours.get(label, INK), label)
                axis.set_title(f"{stage}: {part.replace('_', ' ')}")
                _log_axis(axis)
            if len(parts.get("loss", [])) > 1:
                row[0].legend(frameon=False, fontsize=7.5, labelcolor=INK, handlelength=1.2)
            for axis in row[len(parts) :]:
                axis.set_visible(False)
        return save(figure, folder, f"training-{seed_name(category, seed)}")


def _log_axis(axis: Axes) -> None:
    """A logarithmic value axis that begins at step 0, labelled with plain numbers."""
    axis.set_yscale("log")
    axis.set_xlim(left=0)
    low, high = axis.get_ylim()
    axis.yaxis.set_major_locator(LogLocator(subs=(1,) if high / low > 50 else (1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)


def _curve(axis: Axes, steps: list[float], values: list[float], colour: str, label: str) -> None:
    positive = np.array([value if value > 0 else np.nan for value in values])
    axis.plot(steps, positive, color=colour, alpha=0.22, linewidth=0.7)
    axis.plot(steps, smoothed(positive), color=colour, linewidth=1.5, label=label)
