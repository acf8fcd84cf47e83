"""What the verbs of the command line share: their options, and how settings and device are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holofusion.config.load import Resolved, load_step
from holofusion.pipeline.provenance import record
from holofusion.utils.files import UserError, read_json
from holofusion.utils.log_file import mirror_to
from holofusion.utils.malloc import keep_freed_memory

if TYPE_CHECKING:
    import torch


def path_option(text: str, *names: str) -> Any:
    return Annotated[Path, typer.Option(*names, help=text, show_default=False)]


Config = path_option("settings of this step, results/config/STEP/NAME.yaml", "--config")
Data = path_option("prepared data, results/data/CATEGORY", "--data")
ModelFolder = path_option("trained run, results/runs/RUN", "--model")
Samples = path_option("one shard of scenes, results/samples/RUN/SHARD", "--samples")
Views = path_option("all rendered shards of one run, results/views/RUN", "--views")
Out = path_option("folder or file to write", "--out")
Shard = Annotated[int, typer.Option(min=0, help="number of the shard, from 0", show_default=False)]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads, or worker processes")]
Processes = Annotated[
    int,
    typer.Option(min=0, help="training processes in all, one per GPU, started by torchrun; 0, without a GPU: one"),
]
Nodes = Annotated[int, typer.Option(min=1, help="nodes of the SLURM job that these are shared out among")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto: a GPU if there is one")]
Log = Annotated[Path | None, typer.Option(help="also write messages to this file", show_default=False)]


@contextmanager
def step_at_work(
    config: Path, step: str, threads: int, log: Path | None, out: Path, *inputs: Path | None, data: Path | None = None
) -> Iterator[Resolved]:
    """The settings of a step, opened as by `open_step`, for the block that does its work.

    If the block succeeds, note what the artefact `out` was made from: these settings, the inputs that are given, `data`.
    """
    resolved = open_step(config, step, threads, log)
    if data is not None and (category := read_json(data / "data.json")["category"]) != resolved.category:
        raise UserError(f"{data}: holds {category!r}, {config} is for {resolved.category!r}")
    yield resolved
    if _first_process():
        given = [path for path in (data, *inputs) if path is not None]
        if step == "import":
            given.append(Path(resolved.settings.external.folder))
        record(resolved, out, given, config.resolve().parents[2])


def open_step(config: Path, step: str, threads: int, log: Path | None) -> Resolved:
    """Start the log, read the settings, and limit CPU threads before anything loads torch."""
    if log is not None and _first_process():
        mirror_to(log)
    resolved = load_step(config)
    if resolved.step != step:
        raise UserError(f"{config}: holds settings of the step {resolved.step!r}, this is {step!r}")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    keep_freed_memory()
    return resolved


def _first_process() -> bool:
    """Whether this process speaks and notes for all of a training in several."""
    return int(os.environ.get("RANK", "0")) == 0


def find_device(name: str, threads: int) -> torch.device:
    import torch

    torch.set_num_threads(threads)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not usable here ({str(error).splitlines()[0]})") from None
    return device
