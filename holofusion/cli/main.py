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
from holofusion.cli import objects as cli_objects
from holofusion.cli import results as cli_results
from holofusion.cli import sampling as cli_sampling
from holofusion.cli import scores as cli_scores
from holofusion.cli import training as cli_training
from holofusion.cli.options import (
    Config,
    Log,
    Out,
    Photographs,
    Root,
    Threads,
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


for verb in (  # called as their functions are, underscores included: a verb is called like its step
    cli_training.warmup,
    cli_training.reconstruct,
    cli_training.encode,
    cli_training.train,
    cli_sampling.sample,
    cli_sampling.hypotheses,
    cli_sampling.render,
    cli_scores.evaluate,
    cli_scores.reference,
    cli_scores.consistency,
    cli_scores.curve,
    cli_scores.memorisation,
    cli_scores.ladder,
    cli_scores.mesh,
    cli_scores.geometry,
    cli_scores.geometry_floor,
    cli_scores.report,
    cli_objects.generate,
    cli_objects.view,
    cli_objects.demo,
    cli_objects.ship,
    cli_results.verify,
    cli_results.status,
    cli_results.push,
    cli_results.pull,
):
    app.command(verb.__name__)(verb)
app.command("import")(cli_sampling.import_views)
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
