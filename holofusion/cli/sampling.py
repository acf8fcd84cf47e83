"""The verbs that make scenes and pictures of them: sample, hypotheses, render, import. `main.py` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli.options import (
    Coarse,
    Config,
    Data,
    Device,
    Log,
    ModelFolder,
    Out,
    Samples,
    Shard,
    Threads,
    open_step,
    perform,
)


def sample(
    config: Config,
    model: ModelFolder,
    shard: Shard,
    out: Out,
    coarse: Annotated[Path | None, typer.Option(help="this shard's coarse scenes, if the method needs them")] = None,
    hypotheses: Annotated[Path | None, typer.Option(help="this shard's hypotheses, if the method needs them")] = None,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Make one shard of scenes: from noise, or from coarse scenes and their super-resolved views.

    Example: holofusion sample --config results/config/sample/code_fusion_coarse-hydrant-s0.yaml
    --model results/runs/code_fusion-hydrant-s0 --shard 0 --out results/samples/code_fusion_coarse-hydrant-s0/0
    """
    inputs = {"model": model, "coarse": coarse, "hypotheses": hypotheses}
    perform("sample", config, out, threads=threads, log=log, device=device, shard=shard, **inputs)


def hypotheses(
    config: Config,
    data: Data,
    model: ModelFolder,
    coarse: Coarse,
    shard: Shard,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Super-resolve views of every coarse scene of one shard, several times each.

    Example: holofusion hypotheses --config results/config/hypotheses/code_fusion-hydrant-s0.yaml
    --data results/data/hydrant --model results/runs/code_fusion-hydrant-s0
    --coarse results/samples/code_fusion_coarse-hydrant-s0/0 --shard 0 --out results/hypotheses/code_fusion-hydrant-s0/0
    """
    inputs = {"data": data, "model": model, "coarse": coarse}
    perform("hypotheses", config, out, threads=threads, log=log, device=device, shard=shard, **inputs)


def render(
    config: Config,
    data: Data,
    samples: Samples,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Render the scenes of one shard from the frozen cameras, and turntables of the first ones.

    Example: holofusion render --config results/config/render/code_fusion-hydrant-s0.yaml --data results/data/hydrant
    --samples results/samples/code_fusion-hydrant-s0/0 --out results/views/code_fusion-hydrant-s0/0
    """
    perform("render", config, out, threads=threads, log=log, device=device, data=data, samples=samples)


def import_views(
    config: Config,
    data: Data,
    out: Out,
    pictures: Annotated[
        Path | None,
        typer.Option(help="folder with cameras.json and the pictures it lists [default: external.folder/CATEGORY]"),
    ] = None,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Check pictures made elsewhere, and their cameras.json, and take them over as views of the row `external`.

    Example: holofusion import --config results/config/import/external-hydrant-s0.yaml
    --data results/data/hydrant --pictures elsewhere/hydrant --out results/views/external-hydrant-s0/0
    """
    if pictures is None:
        settings = open_step(config, "import", log)
        pictures = Path(settings.settings.external.folder) / str(settings.category)
    perform("import", config, out, threads=threads, log=log, data=data, pictures=pictures)
