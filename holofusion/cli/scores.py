"""The verbs that follow rendering: scores, surfaces and the page. `main.py` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli.options import (
    CodesFolder,
    Config,
    Data,
    Device,
    EmbeddedObjects,
    Log,
    Meshes,
    ModelFolder,
    Out,
    Reconstructions,
    Results,
    Samples,
    Threads,
    Views,
    perform,
)


def evaluate(
    config: Config,
    data: Data,
    views: Views,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Score the rendered views of one run against real images.

    Example: holofusion evaluate --config results/config/evaluate/code_fusion-hydrant-s0.yaml
    --data results/data/hydrant --views results/views/code_fusion-hydrant-s0 --out results/metrics/code_fusion-hydrant-s0.json
    """
    perform("evaluate", config, out, threads=threads, log=log, device=device, data=data, views=views)


def curve(
    config: Config,
    data: Data,
    model: ModelFolder,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Score the weights kept during a training: kernel distance against training time.

    Example: holofusion curve --config results/config/curve/code_fusion_coarse-hydrant-s0.yaml --data results/data/hydrant
    --model results/runs/code_fusion-hydrant-s0 --out results/metrics/curve-code_fusion_coarse-hydrant-s0.json
    """
    perform("curve", config, out, threads=threads, log=log, device=device, data=data, model=model)


def memorisation(
    config: Config,
    codes: CodesFolder,
    samples: Annotated[
        Path, typer.Option(help="all shards of scenes of one run, results/samples/RUN", show_default=False)
    ],
    out: Out,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Count, position by position of its code, the training objects that each scene is put together from.

    Example: holofusion memorisation --config results/config/memorisation/code_fusion_coarse-hydrant-s0.yaml
    --codes results/codes/hydrant-s0 --samples results/samples/code_fusion_coarse-hydrant-s0
    --out results/metrics/memorisation-code_fusion_coarse-hydrant-s0.json
    """
    perform("memorisation", config, out, threads=threads, log=log, codes=codes, samples=samples)


def ladder(
    config: Config,
    data: Data,
    reconstructions: Reconstructions,
    codes: CodesFolder,
    model: ModelFolder,
    coarse: Annotated[
        Path, typer.Option(help="all shards of the codes' scenes, results/samples/RUN", show_default=False)
    ],
    fused: Annotated[
        Path, typer.Option(help="all shards of the fused scenes, results/samples/RUN", show_default=False)
    ],
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Score what every stage makes, from photographs to fused samples, and denoisers on held-out objects.

    Example: holofusion ladder --config results/config/ladder/code_fusion-hydrant-s0.yaml --data results/data/hydrant
    --reconstructions results/reconstructions/hydrant --codes results/codes/hydrant-s0
    --model results/runs/code_fusion-hydrant-s0 --coarse results/samples/code_fusion_coarse-hydrant-s0
    --fused results/samples/code_fusion-hydrant-s0 --out results/metrics/ladder-code_fusion-hydrant-s0.json
    """
    inputs = {"data": data, "reconstructions": reconstructions, "codes": codes, "model": model}
    inputs |= {"coarse": coarse, "fused": fused}
    perform("ladder", config, out, threads=threads, log=log, device=device, **inputs)


def reference(
    config: Config,
    data: Data,
    out: Out,
    other: Annotated[Path | None, typer.Option(help="prepared data of another category, for real_other")] = None,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Score real images as if they were generated: held-out ones (the floor), blurred ones, another category's, copies.

    The settings file's name says which. Example: holofusion reference
    --config results/config/reference/real_floor-hydrant.yaml --data results/data/hydrant
    --out results/metrics/real_floor-hydrant.json
    """
    perform("reference", config, out, threads=threads, log=log, device=device, data=data, other=other)


def consistency(
    config: Config, data: Data, views: Views, out: Out, threads: Threads = 1, device: Device = "auto", log: Log = None
) -> None:
    """Score how well the views of a scene agree: a static field fitted to half of them, compared with the other half.

    Example: holofusion consistency --config results/config/consistency/code_fusion-hydrant-s0.yaml
    --data results/data/hydrant --views results/views/code_fusion-hydrant-s0
    --out results/metrics/consistency-code_fusion-hydrant-s0.json
    """
    perform("consistency", config, out, threads=threads, log=log, device=device, data=data, views=views)


def mesh(
    config: Config,
    data: Data,
    samples: Samples,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Extract the surfaces of one shard of scenes: SEED.ply as found, SEED.glb and .obj with a texture, and meshes.json.

    Example: holofusion mesh --config results/config/mesh/code_fusion-hydrant-s0.yaml --data results/data/hydrant
    --samples results/samples/code_fusion-hydrant-s0/0 --out results/meshes/code_fusion-hydrant-s0/0
    """
    perform("mesh", config, out, threads=threads, log=log, device=device, data=data, samples=samples)


def geometry(
    config: Config,
    data: Data,
    meshes: Meshes,
    views: Views,
    out: Out,
    dataset: Annotated[Path | None, typer.Option(help="embedded objects, whose true surfaces are known")] = None,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Count what the surfaces of one run consist of, look at them beside the field, and compare them with true ones.

    Example: holofusion geometry --config results/config/geometry/code_fusion-hydrant-s0.yaml
    --data results/data/hydrant --meshes results/meshes/code_fusion-hydrant-s0
    --views results/views/code_fusion-hydrant-s0 --dataset results/dataset
    --out results/metrics/geometry-code_fusion-hydrant-s0.json
    """
    inputs = {"data": data, "meshes": meshes, "views": views, "dataset": dataset}
    perform("geometry", config, out, threads=threads, log=log, device=device, **inputs)


def geometry_floor(
    config: Config,
    data: Data,
    dataset: EmbeddedObjects,
    out: Out,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Compare the true surfaces of held-out objects with those of the others: what a good generator can be asked for.

    Example: holofusion geometry_floor --config results/config/geometry_floor/real_floor-hydrant.yaml
    --data results/data/hydrant --dataset results/dataset --out results/metrics/geometry-real_floor-hydrant.json
    """
    perform("geometry_floor", config, out, threads=threads, log=log, data=data, dataset=dataset)


def report(
    config: Config,
    results: Results,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Gather everything into one page that opens offline, and tables/metrics.csv and figures/ beside it.

    Example: holofusion report --config results/config/report/report.yaml --results results
    """
    metrics = sorted(results.glob("metrics/*.json"))
    perform("report", config, results / "tables", threads=threads, log=log, made_from=metrics)
