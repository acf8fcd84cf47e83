"""The band that opens the page: samples of the best row, turning, one of them to turn by hand, and real photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from holofusion.data.prepared import PreparedCategory
from holofusion.report.collect import RunResults
from holofusion.report.grids import FRAME_MILLISECONDS, Sheet, nearest_rows, open_picture, paste
from holofusion.utils.files import replacing

ACROSS, DOWN = 4, 2  # samples, and half as many photographs


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
    path, still = folder / f"best-{stem}.webp", folder / f"best-{stem}.png"
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
    with replacing(still) as temporary:
        frames[0].save(temporary)
    samples = Sheet(path, still, [run.label], seeds, columns)
    surface = next(iter(run.meshes), None)
    return Band(run.label, samples, _photographs(run, seeds, data, folder / f"photographs-{stem}.png"), surface)


def _photographs(run: RunResults, seeds: list[int], data: PreparedCategory | None, path: Path) -> Sheet | None:
    """Training images from cameras near those of the samples, each of another object as long as there are any."""
    if data is None:
        return None
    cameras = [run.scenes[seed].cameras[0] for seed in seeds[: ACROSS * DOWN // 2]]
    owner = {row: name for name, rows in data.frames.items() for row in rows}
    chosen = {owner[row]: row for row in nearest_rows(data, cameras)}
    for name in data.train:  # two cameras can be nearest to views of one object
        if len(chosen) < len(cameras):
            chosen.setdefault(name, data.frames[name][0])
    pictures = [Image.fromarray(np.asarray(data.images[row])) for row in chosen.values()]
    columns = min(ACROSS // 2, len(pictures))
    with replacing(path) as temporary:
        paste(_rows(pictures, columns)).save(temporary)
    return Sheet(path, path, ["Real images"], [], columns)


def _rows(pictures: list[Image.Image], columns: int) -> list[list[Image.Image]]:
    """The pictures in whole rows; those left over are not shown."""
    return [pictures[first : first + columns] for first in range(0, len(pictures) // columns * columns, columns)]
