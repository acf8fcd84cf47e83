"""The command `holofusion`: one verb per rule of the workflow, with the same arguments.

Heavy imports happen inside the verbs, so that `--help` and bad arguments answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli import data as cli_data
from holofusion.cli import results as cli_results
from holofusion.cli import scores as cli_scores
from holofusion.cli.options import (
    Config,
    Data,
    Device,
    Log,
    ModelFolder,
    Nodes,
    Out,
    Processes,
    Samples,
    Shard,
    Threads,
    find_device,
    path_option,
    step_at_work,
)
from holofusion.config.documentation import write_generated
from holofusion.config.load import load_params, write_resolved
from holofusion.pipeline.checks import data_root
from holofusion.utils.files import UserError
from holofusion.utils.signals import Stopped

app = typer.Typer(
    help="HoloFusion: train, sample, distil and score generative models of 3D objects. One verb per step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def dataset(config: Config, out: Out, threads: Threads = 1, log: Log = None) -> None:
    """Make the embedded objects of one category, as a folder in CO3Dv2 layout.

    Example: holofusion dataset --config results/config/dataset/hydrant.yaml --out results/dataset
    """
    with step_at_work(config, "dataset", threads, log, out / config.stem) as resolved:
        from holofusion.data.synthetic.dataset import make_dataset

        make_dataset(resolved.settings.synthetic, resolved.category, resolved.seed, out, threads)


@app.command()
def prepare(
    config: Config,
    dataset: path_option("folder in CO3D layout; holds one folder per category", "--dataset"),
    out: Out,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Crop, resize and centre the images of one category; split it by object; freeze the evaluation cameras.

    Example: holofusion prepare --config results/config/prepare/hydrant.yaml --dataset results/dataset
    --out results/data/hydrant
    """
    with step_at_work(config, "prepare", threads, log, out, dataset) as resolved:
        from holofusion.data.preparation.prepare import prepare as run

        run(resolved.settings, resolved.category, resolved.seed, dataset, out, resolved.hash, threads)


@app.command()
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
    with step_at_work(config, "warmup", threads, log, out, data=data) as resolved:
        from holofusion.steps.train import run_warmup
        from holofusion.training.parallel import run_in_processes

        run_in_processes(processes, nodes, resolved.settings.parallel.micro_batches)
        run_warmup(resolved, data, out, find_device(device, threads))


@app.command()
def train(
    config: Config,
    data: Data,
    out: Out,
    warmup: Annotated[
        Path | None, typer.Option(help="finished warm-up, results/warmup/CATEGORY-sSEED, if the method needs it")
    ] = None,
    processes: Processes = 1,
    nodes: Nodes = 1,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Train a method. Killed and started again, it goes on where it stopped.

    Example: holofusion train --config results/config/train/holofusion-hydrant-s0.yaml --data results/data/hydrant
    --warmup results/warmup/hydrant-s0 --out results/runs/holofusion-hydrant-s0 --threads 2
    """
    with step_at_work(config, "train", threads, log, out, warmup, data=data) as resolved:
        from holofusion.steps.train import run_train
        from holofusion.training.parallel import run_in_processes

        run_in_processes(processes, nodes, resolved.settings.parallel.micro_batches)
        run_train(resolved, data, warmup, out, find_device(device, threads))


@app.command()
def sample(
    config: Config,
    data: Data,
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

    Example: holofusion sample --config results/config/sample/holodiffusion-hydrant-s0.yaml
    --data results/data/hydrant --model results/runs/holofusion-hydrant-s0 --shard 0
    --out results/samples/holodiffusion-hydrant-s0/0
    """
    with step_at_work(config, "sample", threads, log, out, model, coarse, hypotheses, data=data) as resolved:
        from holofusion.steps.sample import run_sample

        run_sample(resolved, model, coarse, hypotheses, shard, out, find_device(device, threads))


@app.command()
def hypotheses(
    config: Config,
    data: Data,
    model: ModelFolder,
    coarse: path_option("this shard's coarse scenes, results/samples/RUN/SHARD", "--coarse"),
    shard: Shard,
    out: Out,
    threads: Threads = 1,
    device: Device = "auto",
    log: Log = None,
) -> None:
    """Super-resolve views of every coarse scene of one shard, several times each.

    Example: holofusion hypotheses --config results/config/hypotheses/holofusion-hydrant-s0.yaml
    --data results/data/hydrant --model results/runs/holofusion-hydrant-s0
    --coarse results/samples/holodiffusion-hydrant-s0/0 --shard 0 --out results/hypotheses/holofusion-hydrant-s0/0
    """
    with step_at_work(config, "hypotheses", threads, log, out, model, coarse, data=data) as resolved:
        from holofusion.steps.sample import run_hypotheses

        run_hypotheses(resolved, data, model, coarse, shard, out, find_device(device, threads))


@app.command()
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

    Example: holofusion render --config results/config/render/holofusion-hydrant-s0.yaml --data results/data/hydrant
    --samples results/samples/holofusion-hydrant-s0/0 --out results/views/holofusion-hydrant-s0/0
    """
    with step_at_work(config, "render", threads, log, out, samples, data=data) as resolved:
        from holofusion.steps.render import run_render

        run_render(resolved, data, samples, out, find_device(device, threads))


@app.command("import")
def import_views(config: Config, data: Data, out: Out, threads: Threads = 1, log: Log = None) -> None:
    """Check pictures made elsewhere, and their cameras.json, and take them over as views of the row `external`.

    Example: holofusion import --config results/config/import/external-hydrant-s0.yaml --data results/data/hydrant
    --out results/views/external-hydrant-s0/0
    """
    with step_at_work(config, "import", threads, log, out, data=data) as resolved:
        from holofusion.steps.import_views import run_import

        run_import(resolved, data, out)


for verb in (
    cli_scores.evaluate,
    cli_scores.reference,
    cli_scores.consistency,
    cli_scores.curve,
    cli_scores.mesh,
    cli_scores.geometry,
    cli_scores.report,
    cli_results.verify,
    cli_results.status,
    cli_results.push,
    cli_results.pull,
):
    app.command()(verb)
app.command("contents")(cli_results.list_contents)

app.add_typer(cli_data.data, name="data")

app.add_typer(cli_data.data, name="data")


@app.command()
def resolve(
    params: Annotated[Path, typer.Option(help="the complete settings file")] = Path("params.yaml"),
    preset: Annotated[str | None, typer.Option(help="overlay config/PRESET.yaml beside it", show_default=False)] = None,
    results: Annotated[Path, typer.Option(help="results folder")] = Path("results"),
) -> None:
    """Check the settings and write the settings file of every step, as the workflow does when it starts.

    Example: holofusion resolve --preset smoke --results results
    """
    settings = load_params(params, preset)
    data_root(settings)
    write_resolved(settings, results, load_params(params))


@app.command()
def schema(folder: Annotated[Path, typer.Option(help="root of the repository")] = Path(".")) -> None:
    """Regenerate the JSON schema of params.yaml and config/README.md, after a change to holofusion/config/params.py.

    Example: holofusion schema
    """
    for path in write_generated(folder):
        typer.echo(path)


def main() -> None:
    """Entry point: bad input is printed as `error: ...`, one line each, with exit status 2."""
    try:
        app()
    except UserError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    except Stopped as stop:
        print(f"{stop}; the same command goes on from there", file=sys.stderr)
        sys.exit(stop.status)
