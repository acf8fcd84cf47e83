"""The verb `holofusion data import`: photographs of one's own become a folder in CO3D layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holofusion.cli.options import Log
from holofusion.utils.log_file import mirror_to


def import_images(
    source: Annotated[
        Path, typer.Argument(help="one folder per object, each with transforms.json or a COLMAP text model")
    ],
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
