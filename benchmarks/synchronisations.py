"""How often a training step waits for the GPU, counted on the simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from torch import nn

from benchmarks.accelerator import DEVICE, Waits, accelerator, rasteriser_on_host
from benchmarks.context import Context, changed
from benchmarks.timing import summary
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs, build
from holofusion.methods.files import load_weights, method_class
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.pipeline.registry import ROWS, Need
from holofusion.pipeline.runs import Run, seed_name
from holofusion.steps.train import read_codes, read_warmup
from holofusion.training import loop
from holofusion.training.parallel import Group

STEPS = 5  # the first is not counted: it has all that is done every few steps


def measure(context: Context) -> dict[str, Any]:
    """`reads` and `copies` of a step of every training of the run, in fp32, and their `places` in the last one.

    reads: the host waits for a value of the GPU's. copies: it waits until a copy to the GPU is done.
    """
    return {"synchronisations": dict(of_trainings(context))}


def of_trainings(context: Context) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and figures of every training."""
    seed, data, objects = context.seed, context.data, seed_name(context.category, context.seed)
    with accelerator() as waits:
        settings = changed(context.warmup.settings, volume={"precision": "fp32"})
        yield "warmup", figures(build(VoxelAutoencoder, dict(settings), DEVICE, seed, "warmup"), data, waits)
    for name in dict.fromkeys(ROWS[method].trained_by for method in context.params.methods):
        row = ROWS[name]
        if row.model is None or "stable_dreamfusion" in row.train_settings.model_fields:
            continue
        settings = context.resolved("train", Run(name, context.category, seed).name).settings
        settings = changed(settings, volume={"precision": "fp32"})
        with accelerator() as waits, rasteriser_on_host() if name == "get3d" else nullcontext():
            method = build(method_class(row), dict(settings), DEVICE, seed, "train")
            warmup = read_warmup(context.results / "warmup" / objects, DEVICE) if Need.WARMUP in row.needs else None
            codes = read_codes(context.results / "codes" / objects, DEVICE) if Need.CODES in row.needs else None
            base = None
            if Need.BASE in row.needs:
                base = load_weights(context.results / "runs" / Run(row.base, context.category, seed).name, DEVICE)
            method.prepare(TrainingInputs(data, warmup, codes, base))
            if method.steps:
                yield name, figures(method, data, waits)


def figures(method: nn.Module, data: PreparedCategory, waits: Waits) -> dict[str, Any]:
    """Waits of steps of the training loop, from drawing the batch to the averaged weights."""
    method.steps = STEPS
    with TemporaryDirectory() as folder, counted(waits) as steps:
        run = loop.TrainingRun(0, 1, data, Path(folder) / "run", "", Group(0, 1, DEVICE), lambda: None)
        loop.fit(method, run, "counted", ())
    return {
        "reads": summary([step.of("read") for step in steps[1:]]),
        "copies": summary([step.of("write") for step in steps[1:]]),
        "places": {f"{kind} {place}": count for (kind, place), count in sorted(steps[-1].items())},
    }


@contextmanager
def counted(waits: Waits) -> Iterator[list[Waits]]:
    """A block in which the training loop's steps are counted one by one."""
    steps: list[Waits] = []
    draw_batch, update = loop.draw_batch, loop.Average.update

    def begins(*arguments: Any) -> Any:
        waits.clear()
        return draw_batch(*arguments)

    def ends(average: loop.Average, module: nn.Module, step: int) -> None:
        update(average, module, step)
        steps.append(Waits(waits))

    with patch.object(loop, "draw_batch", begins), patch.object(loop.Average, "update", ends):
        yield steps
