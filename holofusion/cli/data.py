"""The verbs `holofusion data ...`: download, import and check photographs. `main.py` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from holofusion.cli.options import Log
from holofusion.pipeline.sources import ROOT_VARIABLE
from holofusion.utils.log_file import mirror_to

data = typer.Typer(
    help="Photographs in CO3D layout: download, check, import them.", no_args_is_help=True, rich_markup_mode=None
)


@data.command()
def download(
    root: Annotated[
        Path,
        typer.Option(envvar=ROOT_VARIABLE, help="folder that will hold one folder per category", show_default=False),
    ],
    categories: Annotated[list[str], typer.Argument(help="categories, such as apple hydrant", show_default=False)],
    release: Annotated[
        Literal["full", "singlesequence"], typer.Option(help="5.5 TB of all sequences, or 8.9 GB of one per task")
    ] = "full",
    connections: Annotated[int, typer.Option(min=1, max=16, help="archives fetched at a time")] = 4,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="keep archives after unpacking")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would come, and how large it is")] = False,
    links: Annotated[Path | None, typer.Option(help="another link list, in CO3D's format")] = None,
    checksums: Annotated[Path | None, typer.Option(help="another list of SHA-256, in CO3D's format")] = None,
    log: Log = None,
) -> None:
    """Download categories of CO3Dv2, check and unpack them. Stopped and started again, it goes on where it stopped.

    Example: holofusion data download apple hydrant --root photographs
    """
    if log is not None:
        mirror_to(log)
    from holofusion.data.co3d.download import download as run
    from holofusion.data.co3d.releases import read_release

    listed = read_release(release, list(dict.fromkeys(categories)), links, checksums)
    run(root, listed, connections, keep_archives, dry_run)


@data.command()
def check(
    root: Annotated[Path, typer.Argument(help="folder that holds one folder per category", show_default=False)],
    category: Annotated[
        list[str] | None, typer.Option(help="look at this one; may be repeated; all if left out")
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="the set list to use (dataset.subset); all frames if left out")
    ] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="decode every image, not three a sequence")] = False,
    log: Log = None,
) -> None:
    """Print what a folder in CO3D layout holds, what is missing or broken, and how its cameras move.

    Ends with status 0 if it can be used, 2 if not.
    Example: holofusion data check photographs --subset fewview_dev
    """
    if log is not None:
        mirror_to(log)
    from holofusion.data.co3d.check import check as run

    if not run(root, category or (), subset, thorough):
        raise typer.Exit(2)


@data.command("import")
def import_images(
    source: Annotated[Path, typer.Argument(help="one folder per object, each with transforms.json or a COLMAP model")],
    out: Annotated[Path, typer.Argument(help="folder in CO3D layout to write to; made if absent")],
    category: Annotated[str, typer.Option(help="what the objects are, such as mug", show_default=False)],
    log: Log = None,
) -> None:
    """Take over photographs, masks and cameras from nerfstudio, instant-ngp or COLMAP. One object in eight is held out.

    Masks: mask_path in transforms.json, masks/NAME.png beside the images, or the images' alpha channel. Distorted
    lenses are refused. Folders named a__1, a__2 are two captures of one object.
    Example: holofusion data import photographs dataset --category mug
    """
    if log is not None:
        mirror_to(log)
    from holofusion.data.importers.captures import import_images as run

    run(source, out, category)
