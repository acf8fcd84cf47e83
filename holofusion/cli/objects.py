"""The verbs for whoever wants objects rather than numbers: generate, view, demo, ship. `main.py` registers them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli.options import Device, Out, Threads, find_device
from holofusion.utils.malloc import keep_freed_memory

Model = Annotated[
    str, typer.Argument(help="run folder, results folder, or name of a model that ships", show_default=False)
]


def generate(
    model: Model,
    out: Out,
    seeds: Annotated[str, typer.Option(help="numbers and ranges, as in 0-3,7")] = "0-3",
    stage: Annotated[
        str | None, typer.Option(help="coarse, superresolved, fused [default: the last there is]", show_default=False)
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="fast, full [default: as it was trained for]", show_default=False)
    ] = None,
    views: Annotated[int, typer.Option(min=1, help="views of one turn")] = 36,
    size: Annotated[
        int | None, typer.Option(min=8, help="side of a view, px [default: that of the training]", show_default=False)
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="of meshes: glb, ply, obj")] = "glb",
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Make objects of a trained model: per seed a mesh, a turntable, a picture and the scene; and a sheet of all.

    Example: holofusion generate hydrant --seeds 0-3 --out objects
    """
    _prepare()
    from holofusion.methods.trained import TrainedRun
    from holofusion.objects.generate import Request, contact_sheet, seeds_in
    from holofusion.objects.generate import generate as make
    from holofusion.objects.surfaces import formats_in

    numbers, kinds = seeds_in(seeds), formats_in(formats)
    run = TrainedRun(model, find_device(device))
    request = Request(stage or run.stages[-1], fusion, views, size or run.facts["image_size"], kinds)
    folders = list(make(run, run.name, numbers, out, request, threads))
    contact_sheet(folders, out / "contact.png")
    typer.echo(f"{out / 'contact.png'}: {len(folders)} objects; `holofusion view {out}` shows them in a browser")


def _prepare() -> None:
    """One thread, as the pipeline's steps have, whose bytes a seed is to give; several seeds are made side by side."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before anything loads torch
    keep_freed_memory()
    import torch

    torch.set_num_threads(1)


def view(
    folder: Annotated[Path, typer.Argument(help="holds scenes or meshes, at any depth", show_default=False)],
    browser: Annotated[bool, typer.Option(help="open the page, rather than only write it")] = True,
) -> None:
    """Write FOLDER/index.html, which shows and turns all objects below it, two side by side, offline; and open it.

    Example: holofusion view objects
    """
    from holofusion.objects.page import show, write_page

    page = write_page(folder)
    typer.echo(page)
    if browser:
        show(page)


def demo(out: Out = Path("demo"), threads: Threads = 1) -> None:
    """Make sixteen objects of every model that ships, and show them in a browser: the first as soon as it is there.

    Example: holofusion demo --out demo
    """
    _prepare()
    from holofusion.objects.demo import make_demo

    make_demo(out, threads)


def ship(
    run: Annotated[Path, typer.Argument(help="trained run, results/runs/RUN", show_default=False)],
    name: Annotated[str, typer.Argument(help="name to ship it under", show_default=False)],
) -> None:
    """Put a finished training into the package, in half precision, with its card and hashes, as a model that ships.

    Example: holofusion ship results/runs/local_estimate-hydrant-s0 hydrant
    """
    from holofusion.models.shipped import ship as put

    typer.echo(put(run, name))
