"""The page of a folder of objects: all of them turning, and two at a time to turn by hand. It opens offline."""

from __future__ import annotations

import json
import os
import sys
import webbrowser
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from holofusion.objects.find import Found, find
from holofusion.report.viewer import TEMPLATES, Surface, packed, read_mesh, script, thinned
from holofusion.scenes.files import load_scene
from holofusion.utils.files import replacing

FACES, FACES_OF_ALL = 20_000, 800_000  # most of one surface, and of a page: 14 MB
TEXTURES_OF_ALL = 8_000_000  # bytes of all textures of a page
SCENE_RESOLUTION = 64  # of the surface of a scene that comes without one


def write_page(folder: Path) -> Path:
    """Write folder/index.html and return its path. Pictures and videos stay in their files; surfaces are inside the page.

    Raises UserError where there is nothing to show, or a file cannot be read.
    """
    objects, page = find(folder), folder / "index.html"
    entries = [entry for each in objects if (entry := _entry(each, len(objects))) is not None]
    with replacing(page) as temporary:
        temporary.write_text(_html(folder, objects, entries), encoding="utf-8")
    return page


def show(page: Path) -> None:
    """Open the page in a browser, where there is one that shows windows; one in the terminal would take it over."""
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(page.resolve().as_uri())


def _entry(each: Found, count: int) -> dict[str, Any] | None:
    """What the viewer draws of an object, of `count` on the page; None where it has no surface."""
    if each.mesh is None:
        return None
    if each.mesh.is_dir():
        mesh = load_scene(each.mesh)[0].surface(SCENE_RESOLUTION)
        if mesh is None or not len(mesh.faces):
            return None
        surface = Surface(mesh.vertices, mesh.faces, mesh.colours)
    else:
        surface = read_mesh(each.mesh)
    surface = thinned(surface, min(FACES, FACES_OF_ALL // count))
    return {"label": each.label, "seed": each.seed, **packed(surface, TEXTURES_OF_ALL / count)}


def _html(folder: Path, objects: Sequence[Found], entries: Sequence[dict[str, Any]]) -> str:
    css = "".join((TEMPLATES / name).read_text() for name in ("page.css", "viewer.css"))
    css += Path(__file__).with_name("page.css").read_text()
    title, count = escape(folder.resolve().name), len(objects)
    rows = "".join(_row(folder, label, list(group)) for label, group in groupby(objects, lambda each: each.label))
    viewer = ""
    if entries:
        data = json.dumps(entries).replace("<", "\\u003c")
        viewer = (
            f'<section><h2>Turn them</h2><div id="viewer" class="viewer" hidden></div></section>\n'
            f'<script type="application/json" id="viewer-meshes">{data}</script>\n'
            f"<script>{script()}</script>"
        )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: {count} objects</title>
<style>{css}</style>
</head>
<body>
<header><h1>{count} object{"s" * (count > 1)}</h1></header>
<main>
{rows}
{viewer}
</main>
<footer></footer>
</body>
</html>
"""


def _row(folder: Path, label: str, objects: Sequence[Found]) -> str:
    """The objects of one model that have pictures; only their number where none has."""
    shown = "".join(_card(folder, each) for each in objects if each.picture)
    listed = f'<ul class="objects">{shown}</ul>' if shown else ""
    return f'<section><h2>{escape(label)}</h2><p class="note">{len(objects)} objects.</p>{listed}</section>\n'


def _card(folder: Path, each: Found) -> str:
    def address(path: Path) -> str:
        return quote(path.relative_to(folder).as_posix())

    alt = escape(f"{each.label}, seed {each.seed}")
    picture = f'<img src="{address(each.picture)}" alt="{alt}">' if each.picture else ""
    if each.video and each.picture:
        picture = (
            f'<video src="{address(each.video)}" poster="{address(each.picture)}" aria-label="{alt}: one turn"'
            " autoplay loop muted playsinline></video>"
        )
    mesh = each.mesh if each.mesh and each.mesh.is_file() else None
    link = f', <a href="{address(mesh)}" download>{mesh.suffix[1:]}</a>' if mesh else ""
    return f"<li><figure>{picture}<figcaption>seed {each.seed}{link}</figcaption></figure></li>"
