"""The sound folder, and all cases of bad input that spoil it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from tests.faults import generators
from tests.faults.artefacts import make_all
from tests.faults.bad_artefacts import artefacts
from tests.faults.bad_photographs import photographs
from tests.faults.bad_settings import settings
from tests.faults.spoilt import Case
from tests.sections import PARAMS


def make_world(folder: Path) -> Path:
    """A sound folder of everything: `make_all`'s, and photographs of two objects, and settings of two rows."""
    folder.mkdir(parents=True)
    make_all(folder)
    for name in ("a", "b"):
        generators.write_pictures(folder / "source" / name)
        frames = [generators.frame(index) for index in range(3)]
        (folder / "source" / name / "transforms.json").write_text(json.dumps({"frames": frames}))
    (folder / "samples").mkdir()
    shutil.copytree(folder / "scene", folder / "samples/0000")
    rows = {"methods": ["pigan", "external"], "external": {"folder": str(folder / "views")}, "categories": ["hydrant"]}
    shutil.rmtree(folder / "results")
    write_resolved(load_params(PARAMS, "smoke", [("rows", rows)]), folder / "results")
    for index in range(10):
        Image.new("RGB", (8, 8), "white").save(folder / f"views/0/view_{index}.png")
    return folder


def cases() -> Iterator[Case]:
    yield from settings()
    yield from photographs()
    yield from artefacts()
