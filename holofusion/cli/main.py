"""The command `holofusion`: one verb per rule of the workflow, with the same arguments.

Heavy imports happen inside the verbs, so that `--help` and bad arguments answer at once.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli import data as cli_data
from holofusion.cli import results as cli_results
from holofusion.cli import scores as cli_scores
from holofusion.cli.options import (
    Coarse,
    Config,
    Data,
    Device,
    Log,
    ModelFolder,
    Nodes,
    Out,
    Photographs,
    Processes,
    Reconstructions,
    Root,
    Samples,
    Shard,
    Threads,
    open_step,
    perform,
)
from holofusion.config.documentation import write_generated
from holofusion.pipeline.checks import data_root, load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.utils.files import UserError
from holofusion.utils.log_file import note_in_log
from holofusion.utils.refusals import in_one_line
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
    perform("dataset", config, out / config.stem, threads=threads, log=log)


@app.command()
def prepare(
    config: Config,
    dataset: Photographs,
    out: Out,
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Crop, resize and centre the images of one category; split it by object; freeze the evaluation cameras.

    Example: holofusion prepare --config results/config/prepare/hydrant.yaml --dataset results/dataset
    --out results/data/hydrant
    """
    perform("prepare", config, out, threads=threads, log=log, dataset=dataset)


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
    perform("warmup", config, out, threads=threads, log=log, device=device, processes=(processes, nodes), data=data)


@app.command()
def reconstruct(config: Config, data: Data, out: Out, threads: Threads = 1, log: Log = None) -> None:
    """Fit a fine grid to the photographs of every object. Killed and started again, it makes those that are missing.

    Example: holofusion reconstruct --config results/config/reconstruct/hydrant.yaml --data results/data/hydrant
    --out results/reconstructions/hydrant --threads 2
    """
    perform("reconstruct", config, out, threads=threads, log=log, data=data)


@app.command()
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


@app.command()
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
    )


@app.command()
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

    Example: holofusion sample --config results/config/sample/holodiffusion-hydrant-s0.yaml
    --model results/runs/holofusion-hydrant-s0 --shard 0 --out results/samples/holodiffusion-hydrant-s0/0
    """
    inputs = {"model": model, "coarse": coarse, "hypotheses": hypotheses}
    perform("sample", config, out, threads=threads, log=log, device=device, shard=shard, **inputs)


@app.command()
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

    Example: holofusion hypotheses --config results/config/hypotheses/holofusion-hydrant-s0.yaml
    --data results/data/hydrant --model results/runs/holofusion-hydrant-s0
    --coarse results/samples/holodiffusion-hydrant-s0/0 --shard 0 --out results/hypotheses/holofusion-hydrant-s0/0
    """
    inputs = {"data": data, "model": model, "coarse": coarse}
    perform("hypotheses", config, out, threads=threads, log=log, device=device, shard=shard, **inputs)


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
    perform("render", config, out, threads=threads, log=log, device=device, data=data, samples=samples)


@app.command()
def download(
    config: Config,
    root: Root,
    out: Out,
    log: Log = None,
) -> None:
    """Fetch the photographs of one category of CO3Dv2, as `download` of the settings says.

    Example: holofusion download --config results/config/download/apple.yaml --root photographs
    --out results/download/apple.json
    """
    perform("download", config, out, threads=1, log=log, made_from=(), root=root)


@app.command("import")
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


for verb in (  # called as their functions are, underscores included: a verb is called like its step
    cli_scores.evaluate,
    cli_scores.reference,
    cli_scores.consistency,
    cli_scores.curve,
    cli_scores.mesh,
    cli_scores.geometry,
    cli_scores.geometry_floor,
    cli_scores.report,
    cli_results.verify,
    cli_results.status,
    cli_results.push,
    cli_results.pull,
):
    app.command(verb.__name__)(verb)
app.command("contents")(cli_results.list_contents)

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
    """Entry point. Bad input, and what the operating system refuses, is printed as `error: ...`, with exit status 2."""
    try:
        app()
    except Stopped as stop:
        print(f"{stop}; the same command goes on from there", file=sys.stderr)
        sys.exit(stop.status)
    except Exception as error:
        lines = in_one_line(error)
        if not lines:
            raise
        if not isinstance(error, UserError):
            note_in_log(traceback.format_exc())
        for line in lines:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
