"""The verbs for a whole results folder: progress, verification, transfer to and from a remote.

`main.py` registers them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.dvc import synchronise
from holofusion.pipeline.resolve import write_resolved
from holofusion.pipeline.status import table, tasks_of
from holofusion.pipeline.steps import STAGES
from holofusion.pipeline.verify import contents, require_verified
from holofusion.utils.files import UserError, write_json


def verify(
    results: Annotated[Path, typer.Argument(help="results folder")] = Path("results"),
) -> None:
    """Check that every artefact is as it was made, from the inputs and with the settings that are there now.

    Example: holofusion verify results
    """
    verified = require_verified(results)
    typer.echo(f"{results}: {len(verified)} artefacts are what their settings and inputs make")
    changed = sorted(name for name, artefact in verified.items() if artefact.other_code)
    if changed:
        typer.echo(f"{len(changed)} of them by code that has changed since: {', '.join(changed)}")


def list_contents(
    stage: Annotated[str, typer.Argument(help=", ".join(STAGES), show_default=False)],
    results: Annotated[Path, typer.Option(help="results folder")] = Path("results"),
) -> None:
    """Write the content hash of every artefact of one stage to RESULTS/contents/STAGE.json, which version control keeps.

    Example: holofusion contents train --results results
    """
    if stage not in STAGES:
        raise UserError(f"contents: {stage!r} is not a stage; these are {', '.join(STAGES)}")
    write_json(results / "contents" / f"{stage}.json", contents(results, stage))


def status(
    results: Annotated[Path, typer.Argument(help="results folder")] = Path("results"),
) -> None:
    """Print what of a run is done, running (steps, time left, node), waiting and failed, also while it runs.

    Example: holofusion status results
    """
    typer.echo(table(tasks_of(results)))


def push() -> None:
    """Send what `dvc repro` made to the DVC remote.

    Example: holofusion push
    """
    synchronise("push")


def pull(
    params: Annotated[Path, typer.Option(help="the complete settings file")] = Path("params.yaml"),
    preset: Annotated[str | None, typer.Option(help="overlay config/PRESET.yaml beside it", show_default=False)] = None,
    results: Annotated[Path, typer.Option(help="results folder")] = Path("results"),
) -> None:
    """Fetch results from the DVC remote, and check that they are what the settings ask for.

    Example: holofusion pull --results results
    """
    synchronise("pull")
    write_resolved(load_params(params, preset), results, load_params(params))
    verify(results)
