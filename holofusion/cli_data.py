"""The verbs `holofusion data ...`. `cli.py` registers them."""

from __future__ import annotations

import typer

from holofusion.cli_import import import_images

data = typer.Typer(help="Photographs in CO3D layout.", no_args_is_help=True, rich_markup_mode=None)
data.command("import")(import_images)


@data.callback()
def group() -> None:
    """Photographs in CO3D layout."""
