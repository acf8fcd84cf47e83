"""Where the time of a training step goes, in the warm-up and in the joint training."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any
from unittest.mock import patch

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import nn

from benchmarks.clock import REST, Clock
from benchmarks.context import Context
from benchmarks.steps import drawn, updater
from benchmarks.timing import rounded, summary
from holofusion.data.prepared import PreparedCategory
from holofusion.methods import holodiffusion, holofusion
from holofusion.report.figures import INK, STYLE, save

COLOURS = {
    "data": "#8a877f",
    "encoder": "#2f6f8f",
    "3D U-Net": "#2f6f8f",
    "rendering": "#b4491f",
    "super-resolution": "#c9a227",
    "optimiser": "#5d7f4a",
    REST: "#d9d6cd",
}
NARROW = ("data", "optimiser", REST)  # on the plot: named in the legend instead of in place
FIRST = 2  # steps that are not counted: they fetch memory from the kernel


def measure(context: Context) -> dict[str, Any]:
    """Shares of the seconds of a step, by part, forward and backward together; drawn as bench_profile.png and .svg.

    `data` is drawing the batch; `rendering` includes picking the pixels and their targets, `3D U-Net` the linear
    estimate that it corrects; `optimiser` is clipping, Adam and averaging.
    """
    found = {
        "joint": shares(*joint(context), context.data, context.rounds),
        "warmup": shares(*warmup(context), context.data, context.rounds),
    }
    draw(found, context)
    return {"training_step": found}


def joint(context: Context) -> tuple[nn.Module, Clock]:
    """The method of the joint training, its parts timed by the clock."""
    method, clock = context.joint_method(trained=True), Clock()
    method.coarse.denoise = clock.timed("3D U-Net", method.coarse.denoise)
    method.crops = clock.timed("rendering", method.crops)
    if method.superresolution:
        method.superresolution.training_step = clock.timed("super-resolution", method.superresolution.training_step)
    return method, clock


def warmup(context: Context) -> tuple[nn.Module, Clock]:
    method, clock = context.warmup_method(), Clock()
    method.encode = clock.timed("encoder", method.encode)
    return method, clock


def shares(method: nn.Module, clock: Clock, data: PreparedCategory, rounds: int) -> dict[str, Any]:
    """Share of the step's seconds of every part, over so many steps after two first ones, and `seconds`, their median."""
    draw_data, update, of_steps = clock.timed("data", drawn), clock.timed("optimiser", updater(method)), []
    rendered = clock.timed("rendering", holodiffusion.photometric_error)
    with (
        patch.object(holodiffusion, "photometric_error", rendered),
        patch.object(holofusion, "photometric_error", rendered),
    ):
        for step in range(FIRST + rounds):
            of_steps.append(parts_of_step(method, clock, lambda step=step: draw_data(method, data, step), update))
    wholes = [sum(parts.values()) for parts in of_steps[FIRST:]]
    names = [name for name in COLOURS if name in of_steps[0]]
    parts = {
        name: summary([one[name] / whole for one, whole in zip(of_steps[FIRST:], wholes, strict=True)])
        for name in names
    }
    return {"seconds": rounded(median(wholes)), **parts}


def parts_of_step(method: nn.Module, clock: Clock, draw_data: Callable, update: Callable[[], None]) -> dict[str, float]:
    """Seconds of every part of one step."""
    clock.restart()
    batch = draw_data()
    method.training_step(batch, 0, torch.Generator().manual_seed(0))["loss"].backward()
    clock.enter(REST)
    update()
    clock.enter(REST)
    return dict(clock.seconds)


def draw(found: dict[str, dict], context: Context) -> None:
    """A bar per training, of its parts' median shares."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.3), layout="constrained")
        axes = figure.subplots()
        for row, parts in enumerate(found.values()):
            bar(axes, row, parts)
        labels = {"joint": "joint training", "warmup": "warm-up"}
        axes.set_yticks(range(len(found)), [f"{labels[name]}\n{found[name]['seconds']:.2f} s" for name in found])
        axes.set(xlim=(0, 100), ylim=(len(found) - 0.5, -0.65))
        axes.set_xlabel("share of a training step, forward and backward, %")
        patches = [Patch(color=COLOURS[part], label=part) for part in NARROW]
        figure.legend(handles=patches, loc="outside lower right", ncols=len(patches), frameon=False, fontsize=7)
        axes.spines["left"].set_visible(False)
        axes.tick_params(left=False)
        save(figure, context.figures, "bench_profile")


def bar(axes: Axes, row: int, parts: dict[str, Any]) -> None:
    """The parts of one training side by side, the wide ones with name and per cent."""
    left = 0.0
    for part in [name for name in COLOURS if name in parts]:
        width = 100 * parts[part]["median"]
        axes.barh(row, width, left=left, height=0.55, color=COLOURS[part], edgecolor="white")
        if part not in NARROW:
            ink = INK if part == "super-resolution" else "white"
            axes.text(left + width / 2, row, f"{width:.0f}", ha="center", va="center", color=ink)
            axes.text(left + width / 2, row - 0.4, part, ha="center", va="center", fontsize=7, color=INK)
        left += width
