"""The demonstration: objects of the models that ship, and their page, without a training."""

from __future__ import annotations

from pathlib import Path

from holofusion.methods.trained import TrainedRun
from holofusion.models.shipped import names
from holofusion.objects.generate import Request, contact_sheet, generate
from holofusion.objects.page import show, write_page
from holofusion.utils.files import UserError
from holofusion.utils.progress import say

OBJECTS = 16  # of each model
VIEWS = 36  # of one turn


def make_demo(out: Path, workers: int) -> Path:
    """Make out/MODEL/SEED of every model that ships, a sheet of each, and the page; return it.

    The page is written and opened when every model has its first object, and written again at the end. workers: processes
    that make objects side by side. Raises UserError where no model ships.
    """
    if not names():
        raise UserError(
            "no model ships with this version; train one with `make report`, then `holofusion generate results`"
        )
    runs = {name: TrainedRun(name) for name in names()}
    for name, run in runs.items():
        list(generate(run, name, [0], out / name, request_for(run)))
    page = write_page(out)
    say(f"{page}: the first of {OBJECTS} objects of each; the page is written again when all are there")
    show(page)
    for name, run in runs.items():
        folders = list(generate(run, name, range(OBJECTS), out / name, request_for(run), workers))
        contact_sheet(folders, out / f"{name}.png")
    say(f"{write_page(out)}: {len(runs) * OBJECTS} objects; reload it")
    return page


def request_for(run: TrainedRun) -> Request:
    """The last stage that the model has, fused in the fast way where that is possible."""
    stage = run.stages[-1]
    fusion = "fast" if stage == "fused" and "fast" in run.fusions else None
    return Request(stage, fusion, VIEWS, run.facts["image_size"], ["glb"])
