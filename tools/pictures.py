"""The pictures of the documents, cut out of the figures of a finished run: part of make reference."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from holofusion.evaluation.ladder import Ladder
from holofusion.utils.files import read_json, write_json

SHEETS: dict[str, tuple[str | None, ...]] = {  # rows of pictures; None: training images
    "overview": ("code_fusion", "holofusion", "holodiffusion", "pigan", None),
    "codes-overview": ("code_fusion", None),
    "codes-samples": (
        "code_fusion",
        "code_fusion_mse",
        "code_fusion_sds",
        "code_fusion_mesh",
        "code_fusion_mesh_mse",
        "code_fusion_star",
        "code_fusion_coarse",
        "local_estimate",
        "gaussian",
        None,
    ),
}
FINE_SHEETS: dict[str, tuple[str | None, ...]] = {  # the same, of a run of the preset `fine`
    "fine-overview": ("code_fusion", None),
    "fine-samples": (
        "code_fusion",
        "code_fusion_mse",
        "code_fusion_sds",
        "code_fusion_star",
        "code_fusion_coarse",
        "local_estimate",
        "gaussian",
        None,
    ),
}
NEAREST_ROWS = ("code_fusion", "code_fusion_mesh", "code_fusion_coarse", "local_estimate")
FINE_NEAREST_ROWS = ("code_fusion", "code_fusion_coarse", "local_estimate")
LADDER_OF = "ladder-code_fusion-hydrant-s0"


def take_ladder(results: Path, docs: Path, name: str) -> None:
    """Copy the ladder to `name`.json, without the hundreds of redraws behind each interval, and its pictures to `name`.jpg."""
    found: Ladder = read_json(results / "metrics" / f"{LADDER_OF}.json")
    for entry in (entry for rung in found["rungs"] for entry in rung["entries"]):
        entry["replicates"] = None
    write_json(docs / f"{name}.json", found)
    save_small(results / "figures" / f"{LADDER_OF}-pictures.png", docs / f"{name}.jpg", 1100)


def take_pictures(results: Path, docs: Path, methods: list[str]) -> None:
    """Write small versions of the figures that the documents show to `docs`. methods: rows, in the order of the sheets."""
    for name, out, width in (
        ("samples-hydrant-s0", "samples.jpg", 900),
        ("consistency-hydrant", "consistency.png", 900),
        ("curves-hydrant-s0", "curves.png", 1100),
    ):
        save_small(results / "figures" / f"{name}.png", docs / out, width)
    take_sheets(results, docs, methods, SHEETS)
    take_nearest(results, docs / "codes-nearest.jpg", methods, NEAREST_ROWS)


def take_sheets(results: Path, docs: Path, methods: list[str], sheets: dict[str, tuple[str | None, ...]]) -> None:
    """Write each sheet's rows of the figure of samples. methods: as for `take_pictures`."""
    for name, rows in sheets.items():
        places = [methods.index(row) if row else len(methods) for row in rows]
        cut_rows(results / "figures" / "samples-hydrant-s0.png", len(methods) + 1, places, docs / f"{name}.jpg")


def take_nearest(results: Path, out: Path, methods: list[str], rows: tuple[str, ...]) -> None:
    """Write these rows of the figure of nearest training images. methods: as for `take_pictures`."""
    places = [2 * methods.index(row) + half for row in rows for half in (0, 1)]
    cut_rows(results / "figures" / "nearest-hydrant-s0.png", 2 * len(methods), places, out)


def save_small(source: Path, out: Path, width: int) -> None:
    """A copy of a picture, at most so many pixels wide."""
    picture = Image.open(source).convert("RGB")
    picture.thumbnail((width, 4000), Image.Resampling.LANCZOS)
    picture.save(out, quality=85, optimize=True)


def cut_rows(sheet: Path, total: int, places: list[int], out: Path, width: int = 1100) -> None:
    """A small copy of some rows of a sheet that holds `total` rows of one height."""
    whole = Image.open(sheet).convert("RGB")
    edges = [round(whole.height * row / total) for row in range(total + 1)]
    strips = [whole.crop((0, edges[place], whole.width, edges[place + 1])) for place in places]
    picture = Image.new("RGB", (whole.width, sum(strip.height for strip in strips)))
    for number, strip in enumerate(strips):
        picture.paste(strip, (0, sum(above.height for above in strips[:number])))
    picture.thumbnail((width, 4000), Image.Resampling.LANCZOS)
    picture.save(out, quality=87, optimize=True)
