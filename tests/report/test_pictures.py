"""Sheets and plots: every picture in its place, every column one seed, nothing retouched."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holofusion.cameras import Cameras, cameras_to_json, turntable
from holofusion.report import figures, grids
from holofusion.report.collect import read_results

SIDE = 32
FACTOR = 4  # pictures of 32 px are enlarged to 128


@pytest.fixture
def runs(results: Path, resolved: Any) -> list:
    return read_results(results, resolved.settings.methods, ["teddybear"], [0]).runs


def cell(sheet: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    step = side + grids.GAP
    return sheet[row * step : row * step + side, column * step : column * step + side]


def test_samples_one_row_per_method_same_seeds(runs: list, tmp_path: Path) -> None:
    del runs[1].scenes[0]  # a seed that one method lacks is shown for none
    sheet = grids.sample_sheet(runs, None, 2, tmp_path / "samples.png")
    assert (sheet.seeds, len(sheet.labels), sheet.same_cameras) == ([1, 2], 4, True)
    pixels = np.asarray(Image.open(sheet.path))
    for row, run in enumerate(runs):
        for column, seed in enumerate(sheet.seeds):
            shown = cell(pixels, row, column, SIDE * FACTOR)
            original = np.asarray(Image.open(run.scenes[seed].views[0]))
            np.testing.assert_array_equal(shown[FACTOR // 2 :: FACTOR, FACTOR // 2 :: FACTOR], original)


def test_other_cameras_are_noticed(results: Path, resolved: Any, tmp_path: Path) -> None:
    path = results / "views" / "holodiffusion-teddybear-s0" / "0" / "cameras.json"
    content = json.loads(path.read_text())
    content["scenes"][0]["views"][0]["T"][2] += 0.5
    path.write_text(json.dumps(content))
    runs = read_results(results, resolved.settings.methods, ["teddybear"], [0]).runs
    assert not grids.sample_sheet(runs, None, 4, tmp_path / "samples.png").same_cameras


def test_real_images_come_from_the_columns_cameras() -> None:
    known = turntable(6, 10.0, 4.0, 3.0)
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, SIDE, SIDE, 3), np.uint8)
    data = SimpleNamespace(
        cameras=known, images=images, train=["a", "b"], frames={"a": [0, 1], "b": [3, 5], "c": [2, 4]}
    )
    nudged = Cameras(known.R, known.T + 0.01, known.focal, known.principal)
    assert grids.nearest_rows(data, cameras_to_json(nudged[[3, 0, 5]])) == [3, 0, 5]


def test_zoom_shows_one_window_of_one_view(runs: list, tmp_path: Path) -> None:
    sheet = grids.zoom_sheet(runs, 1, tmp_path / "zoom.png")
    # The row that was trained on its own has other scenes, so it has no place here.
    assert sheet.labels == ["HoloDiffusion", "HoloDiffusion*", "HoloFusion over features"]
    order = [runs[2], runs[1], runs[0]]
    views = np.stack([np.asarray(Image.open(run.scenes[0].views[0])) for run in order])
    left, top = grids.busiest_window(views, SIDE // 3)
    pixels = np.asarray(Image.open(sheet.path))
    factor = round(grids.ZOOM_CELL / (SIDE // 3))
    for row, view in enumerate(views):
        shown = cell(pixels, row, 1, SIDE // 3 * factor)
        window = view[top : top + SIDE // 3, left : left + SIDE // 3]
        np.testing.assert_array_equal(shown[factor // 2 :: factor, factor // 2 :: factor], window)


def test_busiest_window_equals_a_plain_search() -> None:
    views = np.random.default_rng(0).integers(0, 256, (2, 14, 14, 3))
    views[:, :5] //= 20
    grey = views.mean(-1)
    best = {}
    for top in range(9):
        for left in range(9):
            total = 0.0
            for image in grey:
                for y in range(top, top + 5):
                    for x in range(left, left + 5):
                        total += abs(image[y + 1, x] - image[y, x]) + abs(image[y, x + 1] - image[y, x])
            best[left, top] = total
    assert grids.busiest_window(views, 5) == max(best, key=best.__getitem__)


def test_turntables_move_in_step(runs: list, tmp_path: Path) -> None:
    sheet = grids.turntable_sheet(runs, 2, tmp_path / "turn.webp")
    with Image.open(sheet.path) as animation:
        assert (animation.n_frames, animation.info["loop"]) == (3, 0)
        assert animation.size == (2 * SIDE * FACTOR + grids.GAP, 4 * SIDE * FACTOR + 3 * grids.GAP)
        first = np.asarray(animation.convert("RGB")).astype(int)
        animation.seek(1)
        assert np.abs(np.asarray(animation.convert("RGB")) - first).mean() > 20
    assert Image.open(sheet.still).format == "PNG"


def test_no_pictures_no_sheet(runs: list, tmp_path: Path) -> None:
    for run in runs:
        run.scenes.clear()
    for make in (grids.zoom_sheet, grids.turntable_sheet):
        assert make(runs, 3, tmp_path / "none.png") is None
    assert grids.sample_sheet(runs, None, 3, tmp_path / "none.png") is None


def test_smoothing_keeps_an_exponential_and_passes_over_gaps() -> None:
    values = np.exp(-np.arange(100) / 20.0)
    np.testing.assert_allclose(figures.smoothed(values)[10:-10], values[10:-10], rtol=1e-6)
    values[50] = np.nan
    assert np.isfinite(figures.smoothed(values)).all()
    assert np.isnan(figures.smoothed(np.full(5, np.nan))).all()


def test_inlined_plots_have_no_addresses_and_take_the_pages_colours(results: Path, resolved: Any) -> None:
    found = read_results(results, resolved.settings.methods, ["teddybear"], [0])
    plot = figures.training_plot(found, "teddybear", 0, results / "figures")
    assert "http" not in plot.inline and plot.inline.startswith("<svg") and "var(--ink)" in plot.inline
    assert figures.INK not in plot.inline and figures.INK in plot.svg.read_text()
