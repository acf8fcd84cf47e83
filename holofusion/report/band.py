"""The band that opens the page: samples of the best row, turning, one of them to turn by hand, and real photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from holofusion.data.prepared import PreparedCategory
from holofusion.report.collect import RunResults
from holofusion.report.grids import Sheet, nearest_rows, open_picture, paste, save_animation
from holofusion.utils.files import replacing

ACROSS, DOWN = 2, 2  # samples, and as many photographs of the same size


@dataclass(frozen=True)
class Band:
    """label: the row. samples: its first ones, in motion where there are turntables. photographs: training images from the
    cameras nearest to those of the samples. surface: seed of the sample whose surface is shown; None without surfaces."""

    label: str
    samples: Sheet
    photographs: Sheet | None
    surface: int | None


def band_of(
    runs: list[RunResults], best: str | None, data: PreparedCategory | None, folder: Path, stem: str
) -> Band | None:
    """The band of the row `best`, or of the first with pictures where nothing is scored; None without pictures."""
    shown = [run for run in runs if run.scenes]
    run = next((run for run in shown if run.method == best), next(iter(shown), None))
    if run is None:
        return None
    turning = [seed for seed, scene in run.scenes.items() if scene.turntable]
    seeds = (turning or list(run.scenes))[: ACROSS * DOWN]
    stills = [run.scenes[seed].turntable or run.scenes[seed].views for seed in seeds]
    count = min(map(len, stills)) if turning else 1
    columns = min(ACROSS, len(seeds))
    frames = [paste(_rows([open_picture(files[index]) for files in stills], columns)) for index in range(count)]
    path = folder / f"best-{stem}.webp"
    samples = Sheet(path, save_animation(frames, path), [run.label], seeds, columns)
    surface = next(iter(run.meshes), None)
    return Band(run.label, samples, _photographs(run, seeds, data, folder / f"photographs-{stem}.png"), surface)


def _photographs(run: RunResults, seeds: list[int], data: PreparedCategory | None, path: Path) -> Sheet | None:
    """Training images from cameras near those of the samples, each of another object as long as there are any."""
    if data is None:
        return None
    cameras = [run.scenes[seed].cameras[0] for seed in seeds]
    owner = {row: name for name, rows in data.frames.items() for row in rows}
    chosen = {owner[row]: row for row in nearest_rows(data, cameras)}
    for name in data.train:  # two cameras can be nearest to views of one object
        if len(chosen) < len(cameras):
            chosen.setdefault(name, data.frames[name][0])
    pictures = [Image.fromarray(np.asarray(data.images[row])) for row in chosen.values()]
    columns = min(ACROSS, len(pictures))
    with replacing(path) as temporary:
        paste(_rows(pictures, columns)).save(temporary)
    return Sheet(path, path, ["Real images"], [], columns)


def _rows(pictures: list[Image.Image], columns: int) -> list[list[Image.Image]]:
    """The pictures in whole rows; those left over are not shown."""
    return [pictures[first : first + columns] for first in range(0, len(pictures) // columns * columns, columns)]
