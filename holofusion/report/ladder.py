"""The ladder on the page: where pictures lose between photographs and samples, as a plot, a table and a sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from holofusion.evaluation.ladder import Chain, Ladder, Loss, Rung, entry_of
from holofusion.evaluation.metrics import METRICS
from holofusion.pipeline.registry import label_of
from holofusion.report.figures import ACCENT, FAINT, INK, SECOND, STYLE, Plot, save
from holofusion.report.grids import Sheet, open_picture, paste
from holofusion.utils.files import replacing

CHAINS: dict[Chain, str] = {
    "photographs": "Photographs, made coarse: a scale",
    "reconstructions": "Training objects, reconstructed",
    "samples": "Samples",
}
PANELS = (  # title of a panel, and the metrics in it with their marks
    ("Kernel distance × 1000\n", (("kernel", "o"),)),
    ("Fidelity and variety\n● precision   ○ coverage", (("precision", "o"), ("coverage", "open"))),
    ("Sharpness\n● inside   ○ outlines", (("sharpness", "o"), ("sharpness_outline", "open"))),
)
COLUMNS = ("kernel", "precision", "coverage", "sharpness", "sharpness_outline")
COLOURS, MARKERS = (INK, ACCENT, SECOND, FAINT), "osD^v"  # of denoisers


@dataclass(frozen=True)
class LadderLine:
    """A rung in words. cells: value and interval of each column; cost: of its stage, with the interval; "" where none."""

    label: str
    cells: list[tuple[str, str]]
    psnr: str
    cost: tuple[str, str]
    loses_most: bool


@dataclass(frozen=True)
class LadderSection:
    """What the page says of one run's ladder. lines: the chain in words, and its rungs; verdict: the costliest stage."""

    label: str
    verdict: str
    plot: Plot
    columns: list[str]
    lines: list[tuple[str, list[LadderLine]]]
    sheet: Sheet | None
    denoisers: Plot | None


def ladder_section(ladder: Ladder, results: Path) -> LadderSection:
    """The section of one ladder; figures go to `figures/` below the folder `results`."""
    folder, name = results / "figures", f"ladder-{ladder['run']}"
    return LadderSection(
        label=label_of(ladder["method"]),
        verdict=verdict_of(ladder),
        plot=ladder_plot(ladder, folder, name),
        columns=[METRICS[metric].heading for metric in COLUMNS],
        lines=ladder_table(ladder),
        sheet=ladder_sheet(ladder, results, folder / f"{name}-pictures.png"),
        denoisers=denoiser_plot(ladder, folder, f"denoisers-{ladder['run']}"),
    )


def chains_of(ladder: Ladder) -> list[tuple[str, list[Rung]]]:
    """The chains that have rungs: title and rungs, in order."""
    chains = [(title, [rung for rung in ladder["rungs"] if rung["chain"] == chain]) for chain, title in CHAINS.items()]
    return [(title, rungs) for title, rungs in chains if rungs]


def ladder_table(ladder: Ladder) -> list[tuple[str, list[LadderLine]]]:
    """Chains in words, and a line for each of their rungs."""
    losses = {loss["name"]: loss for loss in ladder["losses"]}
    return [
        (title, [_line(rung, losses.get(rung["name"]), ladder["loses_most"]) for rung in rungs])
        for title, rungs in chains_of(ladder)
    ]


def _line(rung: Rung, loss: Loss | None, loses_most: str | None) -> LadderLine:
    cells = []
    for metric in COLUMNS:
        entry = entry_of(rung, metric)
        cells.append(
            (METRICS[metric].text(entry["value"]), _ends(metric, entry["low"], entry["high"])) if entry else ("", "")
        )
    cost = (METRICS["kernel"].text(loss["value"]), _ends("kernel", loss["low"], loss["high"])) if loss else ("", "")
    psnr = "" if rung["psnr"] is None else f"{rung['psnr']:.1f}"
    return LadderLine(rung["label"], cells, psnr, cost, rung["name"] == loses_most)


def _ends(metric: str, low: float | None, high: float | None) -> str:
    """An interval as text; empty where there is none."""
    return "" if low is None else f"{METRICS[metric].text(low)} to {METRICS[metric].text(high)}"


def verdict_of(ladder: Ladder) -> str:
    """Which stage costs most, in a sentence."""
    labels = {rung["name"]: rung["label"] for rung in ladder["rungs"]}
    for loss in ladder["losses"]:
        if loss["name"] == ladder["loses_most"]:
            ends = _ends("kernel", loss["low"], loss["high"])
            cost = METRICS["kernel"].text(loss["value"]) + (f" ({ends})" if ends else "")
            return f"Most is lost from “{labels[loss['after']]}” to “{labels[loss['name']]}”: {cost}."
    return "No stage loses anything."


def ladder_plot(ladder: Ladder, folder: Path, name: str) -> Plot:
    """Three panels, one line per rung: distance, precision and coverage, sharpness, all with 95 % intervals."""
    lines: list[Rung | str] = []
    for title, rungs in chains_of(ladder):
        lines += [title, *rungs]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 0.27 * len(lines) + 1.1), layout="constrained")
        panels = figure.subplots(1, len(PANELS), sharey=True, width_ratios=(1.3, 1, 1))
        for axes, (title, metrics) in zip(panels, PANELS, strict=True):
            axes.set_title(title, pad=10)
            for place, line in enumerate(lines):
                if not isinstance(line, str):
                    colour = ACCENT if line["name"] == ladder["loses_most"] else INK
                    for number, (metric, mark) in enumerate(metrics):
                        _dot(
                            axes,
                            line,
                            metric,
                            place + (0.16 * (2 * number - 1) if len(metrics) > 1 else 0),
                            mark,
                            colour,
                        )
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
            axes.set_xlim(left=min(0, axes.get_xlim()[0]))
        panels[0].set_yticks(
            range(len(lines)), [line if isinstance(line, str) else f"{line['label']}  " for line in lines]
        )
        for label, line in zip(panels[0].get_yticklabels(), lines, strict=True):
            if isinstance(line, str):
                label.set_color(SECOND)
        panels[0].set_ylim(len(lines) - 0.5, -0.7)
        return save(figure, folder, name)


def _dot(axes: Axes, rung: Rung, metric: str, place: float, mark: str, colour: str) -> None:
    """One value with its interval at the height `place`; nothing where it was not measured."""
    entry, scale = entry_of(rung, metric), METRICS[metric].scale
    if entry is None:
        return
    if entry["low"] is not None and entry["high"] is not None:
        axes.plot([entry["low"] * scale, entry["high"] * scale], [place] * 2, color=colour, linewidth=1.2, alpha=0.6)
    face = "none" if mark == "open" else colour
    axes.plot(entry["value"] * scale, place, "o", color=colour, markerfacecolor=face, markersize=4.5)


def ladder_sheet(ladder: Ladder, results: Path, path: Path) -> Sheet | None:
    """The first pictures of every rung that has a strip, one row each. None where none has. Raises UserError for a file
    that cannot be read."""
    rungs = [(rung["label"], open_picture(results / rung["strip"])) for rung in ladder["rungs"] if "strip" in rung]
    if not rungs:
        return None
    columns = min(strip.width // strip.height for _, strip in rungs)
    with replacing(path) as temporary:
        paste([_squares(strip, columns) for _, strip in rungs]).save(temporary)
    return Sheet(path, path, [label for label, _ in rungs], [], columns)


def _squares(strip: Image.Image, columns: int) -> list[Image.Image]:
    """The first `columns` square pictures of a strip."""
    side = strip.height
    return [strip.crop((side * column, 0, side * (column + 1), side)) for column in range(columns)]


def denoiser_plot(ladder: Ladder, folder: Path, name: str) -> Plot | None:
    """Held-out error of each denoiser against the signal-to-noise ratio, and as a share of the first one's at the same
    levels, which is the measure of the others. None where none was measured."""
    denoisers = ladder["denoisers"]
    if not denoisers:
        return None
    first = dict(zip(denoisers[0]["snr"], denoisers[0]["error"], strict=True))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.2), layout="constrained")
        whole, share = figure.subplots(1, 2)
        for number, errors in enumerate(denoisers):
            line: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
            line |= {"label": errors["name"], "markersize": 4.5, "linewidth": 1.3}
            whole.plot(errors["snr"], errors["error"], **line)
            pairs = [
                (snr, error / first[snr])
                for snr, error in zip(errors["snr"], errors["error"], strict=True)
                if first.get(snr)
            ]
            share.plot([snr for snr, _ in pairs], [ratio for _, ratio in pairs], **line)
        for axes in (whole, share):
            axes.set_xscale("log")
            axes.invert_xaxis()
            axes.set_xlabel("signal-to-noise ratio: more noise to the right")
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        whole.set_ylim(bottom=0)
        whole.set_title("Error on held-out objects, share of the codes' variance")
        share.set_title(f"The same, as a share of that of the {denoisers[0]['name']}")
        whole.legend(frameon=False, fontsize=8, labelcolor=INK, handlelength=1.6)
        return save(figure, folder, name)
