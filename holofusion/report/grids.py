"""Picture sheets made from rendered views: one row per method, one column per scene. Pixels are never retouched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from holofusion.cameras import CAMERA_KEYS, Cameras, cameras_from_json
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.claims import CODES, FEATURES
from holofusion.report.collect import RunResults
from holofusion.utils.files import UserError, replacing

GAP = 4
CELL = 128  # pixels a picture should about fill; smaller ones are enlarged by a whole factor, each pixel a square
ZOOM_CELL = 168
ZOOM_ORDER = [row for of in (CODES, FEATURES) for row in (of.coarse, of.superresolved, of.fused)]
FRAME_MILLISECONDS = 110


@dataclass(frozen=True)
class Sheet:
    """A sheet on disk: the picture, a still for readers who avoid motion, row labels, and what its columns are."""

    path: Path
    still: Path
    labels: list[str]
    seeds: list[int]
    columns: int
    same_cameras: bool = True


def open_picture(path: Path) -> Image.Image:
    """A picture as RGB. Raises UserError naming a file that cannot be read."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise UserError(f"{path}: not a readable picture ({error})") from None


def _enlarged(image: Image.Image, factor: int) -> Image.Image:
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def paste(rows: list[list[Image.Image]]) -> Image.Image:
    """Square pictures of one size, in rows on white."""
    factor = max(1, round(CELL / rows[0][0].width))
    step = factor * rows[0][0].width + GAP
    sheet = Image.new("RGB", (step * len(rows[0]) - GAP, step * len(rows) - GAP), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            sheet.paste(_enlarged(image, factor), (x * step, y * step))
    return sheet


def shared_seeds(runs: list[RunResults], count: int, moving: bool = False) -> list[int]:
    """The first `count` sample seeds that every run with pictures has; nothing is picked by eye."""
    sets = [
        {seed for seed, scene in run.scenes.items() if (scene.turntable if moving else scene.views)} for run in runs
    ]
    sets = [seeds for seeds in sets if seeds]
    return sorted(set.intersection(*sets))[:count] if sets else []


def sample_sheet(runs: list[RunResults], data: PreparedCategory | None, columns: int, path: Path) -> Sheet | None:
    """Samples, one row per run and one column per seed, and below them real training images from the columns' cameras.

    The real image of a column is the training frame whose camera is nearest to the column's. None without pictures.
    """
    runs = [run for run in runs if run.scenes]
    seeds = shared_seeds(runs, columns)
    if not seeds:
        return None
    rows = [[open_picture(run.scenes[seed].views[0]) for seed in seeds] for run in runs]
    labels = [run.label for run in runs]
    cameras = [[run.scenes[seed].cameras[0] for seed in seeds] for run in runs]
    if data is not None:
        rows.append([Image.fromarray(np.asarray(data.images[row])) for row in nearest_rows(data, cameras[0])])
        labels.append("Real training images")
    with replacing(path) as temporary:
        paste(rows).save(temporary)
    same = all(_equal(row, cameras[0]) for row in cameras)
    return Sheet(path, path, labels, seeds, len(seeds), same)


def _equal(first: list[dict], second: list[dict]) -> bool:
    return all(a[key] == b[key] for a, b in zip(first, second, strict=True) for key in CAMERA_KEYS)


def nearest_rows(data: PreparedCategory, cameras: list[dict]) -> list[int]:
    """For each camera the row of the training frame whose own camera (R, T, focal length, principal point) is nearest."""
    rows = np.array([row for name in data.train for row in data.frames[name]])
    known, wanted = _numbers(data.cameras)[rows], _numbers(cameras_from_json(cameras))
    return [int(rows[np.linalg.norm(known - camera, axis=1).argmin()]) for camera in wanted]


def _numbers(cameras: Cameras) -> np.ndarray:
    """All numbers of every camera, (B,16)."""
    return np.concatenate([cameras.R.flatten(1), cameras.T, cameras.focal, cameras.principal], axis=1)


def nearest_sheet(runs: list[RunResults], data: PreparedCategory | None, columns: int, path: Path) -> Sheet | None:
    """Pairs of rows: samples, and below each the training image nearest to it in feature space. None without pictures."""
    nearest = [
        (run, run.metrics) for run in runs if run.scenes and run.metrics is not None and run.metrics.get("nearest")
    ]
    count = min((len(metrics["nearest"]) for _, metrics in nearest), default=0)
    if data is None or not count:
        return None
    rows, labels = [], []
    for run, metrics in nearest:
        shown = metrics["nearest"][: min(columns, count)]
        rows.append([open_picture(run.results / "views" / run.name / near["picture"]) for near in shown])
        rows.append([Image.fromarray(np.asarray(data.images[near["row"]])) for near in shown])
        labels += [run.label, "nearest training image"]
    with replacing(path) as temporary:
        paste(rows).save(temporary)
    return Sheet(path, path, labels, nearest[0][1]["scenes"][: len(rows[0])], len(rows[0]))


def zoom_sheet(runs: list[RunResults], scenes: int, path: Path) -> Sheet | None:
    """The same view and the same small window of it, enlarged without smoothing, one row per run.

    Columns alternate whole view and window. Runs that share the commonest training are shown, for only they treat the
    same coarse scenes. The window (a third of the side) is where they together have most edges, so none of them
    chooses it. None without pictures.
    """
    trained = Counter(run.training_run for run in runs if run.scenes)
    shared = max(trained, key=trained.__getitem__, default=None)
    runs = sorted((run for run in runs if run.scenes and run.training_run == shared), key=_zoom_rank)
    seeds = shared_seeds(runs, scenes)
    if not seeds:
        return None
    rows: list[list[Image.Image]] = [[] for _ in runs]
    for seed in seeds:
        views = [open_picture(run.scenes[seed].views[0]) for run in runs]
        side = views[0].width // 3
        factor = max(2, round(ZOOM_CELL / side))
        left, top = busiest_window(np.stack([np.asarray(view) for view in views]), side)
        for row, view in zip(rows, views, strict=True):
            box = (left, top, left + side, top + side)
            row.append(_framed(view, box, side * factor))
            row.append(_enlarged(view.crop(box), factor))
    with replacing(path) as temporary:
        paste(rows).save(temporary)
    return Sheet(path, path, [run.label for run in runs], seeds, 2 * len(seeds))


def _zoom_rank(run: RunResults) -> int:
    return ZOOM_ORDER.index(run.method) if run.method in ZOOM_ORDER else len(ZOOM_ORDER)


def _framed(view: Image.Image, box: tuple[int, int, int, int], size: int) -> Image.Image:
    """The view enlarged to `size`, with the outline of `box` drawn two pixels wide."""
    scale = size / view.width
    pixels = np.asarray(view.resize((size, size), Image.Resampling.LANCZOS)).copy()
    left, top, right, bottom = (round(edge * scale) for edge in box)
    outline = np.zeros(pixels.shape[:2], bool)
    outline[top:bottom, left:right] = True
    outline[top + 2 : bottom - 2, left + 2 : right - 2] = False
    pixels[outline] = (196, 78, 36)
    return Image.fromarray(pixels)


def busiest_window(views: np.ndarray, side: int) -> tuple[int, int]:
    """Left and top of the `side` window with the largest sum of grey-level steps over all views (n,S,S,3)."""
    grey = views.mean(-1)
    steps = np.abs(np.diff(grey, axis=1))[:, :, :-1] + np.abs(np.diff(grey, axis=2))[:, :-1]
    totals = np.pad(steps.sum(0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = totals[side:, side:] - totals[:-side, side:] - totals[side:, :-side] + totals[:-side, :-side]
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(left), int(top)


def save_animation(frames: list[Image.Image], path: Path) -> Path:
    """Write an animated WebP, and beside it its first frame as PNG, for readers who avoid motion; return that one."""
    with replacing(path) as temporary:
        frames[0].save(
            temporary,
            save_all=True,
            append_images=frames[1:],
            duration=FRAME_MILLISECONDS,
            loop=0,
            quality=82,
            method=2,
        )
    still = path.with_suffix(".png")
    with replacing(still) as temporary:
        frames[0].save(temporary)
    return still


def turntable_sheet(runs: list[RunResults], columns: int, path: Path) -> Sheet | None:
    """All runs' turntables in one animated WebP, so that every row turns in step; beside it its first frame as PNG."""
    runs = [run for run in runs if any(scene.turntable for scene in run.scenes.values())]
    seeds = shared_seeds(runs, columns, moving=True)
    if not seeds:
        return None
    count = min(len(run.scenes[seed].turntable) for run in runs for seed in seeds)
    frames = []
    for index in range(count):
        rows = [[open_picture(run.scenes[seed].turntable[index]) for seed in seeds] for run in runs]
        frames.append(paste(rows))
    return Sheet(path, save_animation(frames, path), [run.label for run in runs], seeds, len(seeds))
