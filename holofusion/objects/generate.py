"""Make objects of a trained model: per seed the scene, its mesh, a turntable and a picture; and a sheet of all seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from holofusion.data.preparation.evaluation_cameras import typical_orbit
from holofusion.methods.trained import TrainedRun
from holofusion.objects.surfaces import write_surface
from holofusion.objects.video import write_video
from holofusion.pipeline.paths import scene_name
from holofusion.rendering.images import to_bytes
from holofusion.scenes.base import Scene
from holofusion.utils.files import UserError, read_json, reading, replacing, sha256_of, write_json
from holofusion.utils.progress import Progress
from holofusion.utils.side_by_side import side_by_side

TURN_SECONDS = 4.0  # of one turn of the turntable
GAP = 4  # pixels between the pictures of a sheet
OBJECT = "object.json"


@dataclass(frozen=True)
class Request:
    """What is made of every seed. size: pixels of a view's side. views: of one turn. formats: suffixes of meshes."""

    stage: str
    fusion: str | None
    views: int
    size: int
    formats: list[str]


def seeds_in(text: str) -> list[int]:
    """The seeds of a list such as `0-3,7`. Raises UserError where it is none."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.strip().partition("-")
            seeds += range(int(first), int(last or first) + 1)
    except ValueError:
        seeds = []
    if not seeds:
        raise UserError(f"--seeds {text}: expected numbers and ranges from 0, as in 0-3,7")
    return list(dict.fromkeys(seeds))


def generate(
    run: TrainedRun, label: str, seeds: Sequence[int], out: Path, request: Request, workers: int = 1
) -> Iterator[Path]:
    """Make out/SEED of every seed: scene/, view.png, turntable.mp4, object.glb and object.json; yield each folder.

    A folder that holds what is asked for is left as it is, so that the same command goes on after a stop. label: what the
    page calls the model. A folder appears when it is complete. workers: processes of one thread each, with which seeds are
    made side by side, to the same bytes. Raises UserError for a stage or fusion that there is not.
    """
    run.check(request.stage, request.fusion)
    facts = {
        "model": label,
        "weights": sha256_of(run.folder / "model.safetensors"),
        "category": run.facts.get("category"),
    }
    jobs = [
        _Work(str(run.folder), str(run.device), out, request, {**facts, **asdict(request), "seed": s}) for s in seeds
    ]
    progress = Progress(f"generate {label}", len(seeds))
    for folder in side_by_side(_make, jobs, workers if run.device.type == "cpu" else 1):
        progress.advance()
        yield folder


@dataclass(frozen=True)
class _Work:
    """One seed: the model and its device, the folder of all, and what object.json says."""

    model: str
    device: str
    out: Path
    request: Request
    facts: dict[str, Any]


_opened = cache(TrainedRun)  # once per process


def _make(work: _Work) -> Path:
    """Make the folder of one seed, unless it holds what is asked for."""
    run, seed = _opened(work.model, work.device), work.facts["seed"]
    folder = work.out / scene_name(seed)
    if not _made(folder, work.facts):
        began = time.monotonic()
        scene = run.sample(seed, work.request.stage, work.request.fusion)
        with replacing(folder) as temporary:
            temporary.mkdir()
            scene.save(temporary / "scene", method=work.facts["model"], seed=seed)
            meshes = write_pictures(run, scene, temporary, work.request)
            seconds = round(time.monotonic() - began, 2)
            write_json(temporary / OBJECT, {**work.facts, "meshes": meshes, "seconds": seconds})
    return folder


def _made(folder: Path, wanted: dict[str, Any]) -> bool:
    """Whether the folder holds what is asked for."""
    if not (folder / OBJECT).is_file():
        return False
    with reading(folder / OBJECT, "delete the folder"):
        found = read_json(folder / OBJECT)
        return all(found.get(key) == value for key, value in wanted.items())


def write_pictures(run: TrainedRun, scene: Scene, folder: Path, request: Request) -> list[str]:
    """Write view.png, turntable.mp4 and the meshes; return the meshes' names. The turn is that of the training's cameras."""
    cameras = typical_orbit(run.cameras).cameras(request.views).to(run.device)
    frames = to_bytes(scene.render(cameras, request.size).rgb)
    Image.fromarray(frames[0]).save(folder / "view.png")
    write_video(frames, folder / "turntable.mp4", request.views / TURN_SECONDS)
    return write_surface(scene, folder, request.formats, run.cameras)


def contact_sheet(folders: Sequence[Path], path: Path) -> None:
    """Paste view.png of every folder into one sheet, about square, in the order given, on white."""
    pictures = [Image.open(folder / "view.png").convert("RGB") for folder in folders]
    columns, step = math.ceil(math.sqrt(len(pictures))), pictures[0].width + GAP
    sheet = Image.new("RGB", (step * columns - GAP, step * math.ceil(len(pictures) / columns) - GAP), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * step, place // columns * step))
    with replacing(path) as temporary:
        sheet.save(temporary)
