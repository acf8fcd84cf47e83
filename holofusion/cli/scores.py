"""The verbs that follow rendering: scores, surfaces and the page. `cli.py` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli.options import (
    Config,
    Data,
    Device,
    Log,
    ModelFolder,
    Out,
    Samples,
    Threads,
    Views,
    find_device,
    path_option,
    step_at_work,
)
from holofusion.pipeline.verify import TABLES, require_verified
from holofusion.utils.files import UserError


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

    Example: holofusion evaluate --config results/config/evaluate/holofusion-hydrant-s0.yaml
    --data results/data/hydrant --views results/views/holofusion-hydrant-s0 --out results/metrics/holofusion-hydrant-s0.json
    """
    with step_at_work(config, "evaluate", threads, log, out, views, data=data) as resolved:
        from holofusion.steps.evaluate import run_evaluate

        run_evaluate(resolved, data, views, out, find_device(device, threads))


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

    Example: holofusion curve --config results/config/curve/holodiffusion-hydrant-s0.yaml --data results/data/hydrant
    --model results/runs/holofusion-hydrant-s0 --out results/metrics/curve-holodiffusion-hydrant-s0.json
    """
    with step_at_work(config, "curve", threads, log, out, model, data=data) as resolved:
        from holofusion.steps.curve import run_curve

        run_curve(resolved, data, model, out, find_device(device, threads))


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
    --config results/config/evaluate/real_floor-hydrant.yaml --data results/data/hydrant
    --out results/metrics/real_floor-hydrant.json
    """
    with step_at_work(config, "evaluate", threads, log, out, other, data=data) as resolved:
        from holofusion.steps.reference import run_reference

        run_reference(resolved, data, other, out, find_device(device, threads))


def consistency(
    config: Config, data: Data, views: Views, out: Out, threads: Threads = 1, device: Device = "auto", log: Log = None
) -> None:
    """Score how well the views of a scene agree: a static field fitted to half of them, compared with the other half.

    Example: holofusion consistency --config results/config/consistency/holofusion-hydrant-s0.yaml
    --data results/data/hydrant --views results/views/holofusion-hydrant-s0
    --out results/metrics/consistency-holofusion-hydrant-s0.json
    """
    with step_at_work(config, "consistency", threads, log, out, views, data=data) as resolved:
        from holofusion.steps.consistency import run_consistency

        run_consistency(resolved, data, views, out, find_device(device, threads))


def mesh(
    config: Config, samples: Samples, out: Out, threads: Threads = 1, device: Device = "auto", log: Log = None
) -> None:
    """Extract the surfaces of one shard of scenes: SEED.ply and SEED.glb with vertex colours, and meshes.json.

    Example: holofusion mesh --config results/config/mesh/holofusion-hydrant-s0.yaml
    --samples results/samples/holofusion-hydrant-s0/0 --out results/meshes/holofusion-hydrant-s0/0
    """
    with step_at_work(config, "mesh", threads, log, out, samples) as resolved:
        from holofusion.meshing.surface import run_mesh

        run_mesh(resolved, samples, out, find_device(device, threads))


def geometry(
    config: Config,
    data: Data,
    out: Out,
    meshes: Annotated[
        Path | None, typer.Option(help="all shards of one run, results/meshes/RUN; none: the floor")
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="embedded objects, whose true surfaces are known")] = None,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Count what the surfaces of one run consist of, and compare them with the true ones where these are known.

    Example: holofusion geometry --config results/config/geometry/holofusion-hydrant-s0.yaml
    --data results/data/hydrant --meshes results/meshes/holofusion-hydrant-s0 --dataset results/dataset
    --out results/metrics/geometry-holofusion-hydrant-s0.json
    """
    with step_at_work(config, "geometry", threads, log, out, meshes, dataset, data=data) as resolved:
        from holofusion.steps.geometry import run_geometry, run_geometry_floor

        if resolved.method is not None:
            if meshes is None:
                raise UserError(f"--meshes: missing; {config} is of a run, whose surfaces are scored")
            run_geometry(resolved, data, meshes, dataset, out)
        else:
            if meshes is not None or dataset is None:
                raise UserError(f"--dataset: {config} is of the true surfaces; name their folder, and no --meshes")
            run_geometry_floor(resolved, data, dataset, out)


def report(
    config: Config,
    results: path_option("the results folder", "--results"),
    out: Out,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Gather everything into one page that opens offline, and tables/metrics.csv and figures/ beside it.

    Example: holofusion report --config results/config/report/report.yaml --results results --out results/report.html
    """
    metrics = sorted(results.glob("metrics/*.json"))
    with step_at_work(config, "report", threads, log, results / TABLES, *metrics) as resolved:
        from holofusion.report.page import run_report

        require_verified(results, but=TABLES)
        run_report(resolved, results, out)
