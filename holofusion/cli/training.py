"""The verbs that train: the warm-up, reconstructions, their codes, and the methods. `main.py` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli.options import (
    Config,
    Data,
    Device,
    Log,
    Nodes,
    Out,
    Processes,
    Reconstructions,
    Threads,
    perform,
)


def warmup(
    config: Config,
    data: Data,
    out: Out,
    processes: Processes = 1,
    nodes: Nodes = 1,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Train encoder and decoder without noise. Killed and started again, it goes on where it stopped.

    Example: holofusion warmup --config results/config/warmup/hydrant-s0.yaml --data results/data/hydrant
    --out results/warmup/hydrant-s0 --threads 2
    """
    perform("warmup", config, out, threads=threads, log=log, device=device, processes=(processes, nodes), data=data)


def reconstruct(config: Config, data: Data, out: Out, threads: Threads = 1, log: Log = None) -> None:
    """Fit a fine grid to the photographs of every object. Killed and started again, it makes those that are missing.

    Example: holofusion reconstruct --config results/config/reconstruct/hydrant.yaml --data results/data/hydrant
    --out results/reconstructions/hydrant --threads 2
    """
    perform("reconstruct", config, out, threads=threads, log=log, data=data)


def encode(
    config: Config,
    data: Data,
    reconstructions: Reconstructions,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Code the objects' grids, and train the network that decodes them. Killed and started again, it goes on.

    Example: holofusion encode --config results/config/encode/hydrant-s0.yaml --data results/data/hydrant
    --reconstructions results/reconstructions/hydrant --out results/codes/hydrant-s0 --threads 2
    """
    inputs = {"data": data, "reconstructions": reconstructions}
    perform("encode", config, out, threads=threads, log=log, device=device, **inputs)


def train(
    config: Config,
    data: Data,
    out: Out,
    warmup: Annotated[
        Path | None, typer.Option(help="finished warm-up, results/warmup/CATEGORY-sSEED, if the method needs it")
    ] = None,
    codes: Annotated[
        Path | None, typer.Option(help="objects' codes, results/codes/CATEGORY-sSEED, if the method needs them")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="finished training, results/runs/RUN, that the method takes over, if it does")
    ] = None,
    processes: Processes = 1,
    nodes: Nodes = 1,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Train a method. Killed and started again, it goes on where it stopped.

    Example: holofusion train --config results/config/train/code_fusion-hydrant-s0.yaml --data results/data/hydrant
    --codes results/codes/hydrant-s0 --out results/runs/code_fusion-hydrant-s0 --threads 2
    """
    perform(
        "train",
        config,
        out,
        threads=threads,
        log=log,
        device=device,
        processes=(processes, nodes),
        data=data,
        warmup=warmup,
        codes=codes,
        base=base,
    )
