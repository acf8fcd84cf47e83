"""Options that the verbs of the command line share, and the function that runs one job of a step."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.provenance import record
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.steps import STEPS
from holofusion.utils.files import UserError, discard_unfinished, read_json, reading
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
Photographs = path_option("folder in CO3D layout; holds one folder per category", "--dataset")
Coarse = path_option("this shard's coarse scenes, results/samples/RUN/SHARD", "--coarse")
Root = path_option("folder that will hold one folder per category", "--root")
Pictures = path_option("folder with cameras.json and the pictures it lists", "--pictures")
Reconstructions = path_option("grids of all objects, results/reconstructions/CATEGORY", "--reconstructions")
CodesFolder = path_option("codes of all objects, results/codes/CATEGORY-sSEED", "--codes")
Meshes = path_option("all shards of one run, results/meshes/RUN", "--meshes")
EmbeddedObjects = path_option("embedded objects, whose true surfaces are known", "--dataset")
Results = path_option("the results folder", "--results")
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


def perform(
    step: str,
    config: Path,
    out: Path,
    *,
    threads: int,
    log: Path | None,
    device: str | None = None,
    shard: int = 0,
    processes: tuple[int, int] | None = None,
    made_from: Iterable[Path] | None = None,
    **inputs: Path | None,
) -> None:
    """Do one job of a step: what every verb comes to. If it succeeds, note what `out` was made from.

    device: None for a step that does not choose one. processes: of a training in all, and nodes they are on. inputs: by
    the name of their option; made_from: what is noted in place of these.
    Raises UserError for settings of another step or data of another category.
    """
    resolved = open_step(config, step, log)
    given = {name: path for name, path in inputs.items() if path is not None}
    _check_category(resolved, config, given.get("data"))
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before anything loads torch
    keep_freed_memory()
    if processes is not None:
        from holofusion.training.parallel import run_in_processes

        run_in_processes(*processes, resolved.settings.parallel.micro_batches)
    if _first_process():
        discard_unfinished(out)
    code = import_module(STEPS[step].module)
    job = Job(resolved, out, given, shard, threads, None if device is None else find_device(device))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    code.run(job)
    if _first_process():
        noted = [*(given.values() if made_from is None else made_from), *_weights_named_by(resolved.settings)]
        record(resolved, out, noted, config.resolve().parents[2])


def open_step(config: Path, step: str, log: Path | None) -> Resolved[Any]:
    """Start the log, and read the settings. Raises UserError if they are those of another step."""
    if log is not None and _first_process():
        mirror_to(log)
    resolved = load_step(config)
    if resolved.step != step:
        raise UserError(f"{config}: holds settings of the step {resolved.step!r}, this is {step!r}")
    return resolved


def _check_category(resolved: Resolved[Any], config: Path, data: Path | None) -> None:
    if data is None:
        return
    with reading(data / "data.json"):
        category = read_json(data / "data.json")["category"]
    if category != resolved.category:
        raise UserError(f"{data}: holds {category!r}, {config} is for {resolved.category!r}")


def _weights_named_by(settings: Any) -> list[Path]:
    """Weights made elsewhere that a step's settings name and that it uses: their content counts as that of an input."""
    guide = getattr(getattr(settings, "stable_dreamfusion", None), "folder", None)
    scoring = getattr(settings, "evaluation", None)
    network = (
        getattr(scoring, "inception_weights", None) if getattr(scoring, "feature_network", "") == "inception" else None
    )
    return [Path(name).resolve() for name in (guide, network) if name and Path(name).exists()]


def _first_process() -> bool:
    """Whether this process speaks and notes for all of a training in several."""
    return int(os.environ.get("RANK", "0")) == 0


def find_device(name: str) -> torch.device:
    """The device of that name; for `auto` a GPU if there is one. Raises UserError where it cannot be used."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not usable here ({str(error).splitlines()[0]})") from None
    return device
