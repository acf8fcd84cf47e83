"""Preparation that is killed goes on where it stopped; its memory does not grow with the number of sequences."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from holofusion.data.preparation import jobs as parts
from holofusion.utils.files import UserError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the sequences that are made ready, as they are."""
    names: list[str] = []
    original = parts.make_sequence

    def counting(frames: list, *rest: object) -> object:
        names.append(frames[0].sequence)
        return original(frames, *rest)

    monkeypatch.setattr(parts, "make_sequence", counting)
    return names


def test_a_killed_preparation_goes_on_where_it_stopped(
    tmp_path: Path, balls: SimpleNamespace, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    balls.write(tmp_path / "raw", balls.three(views=5))
    balls.run(tmp_path / "raw", tmp_path / "whole", balls.settings())
    made.clear()
    read = parts.read_part

    def killed(path: Path) -> object:
        if len(made) == 2:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("holofusion.data.preparation.prepare.read_part", killed)
        balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    assert not (tmp_path / "out").exists() and made == ["a", "b__1"]
    balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    assert made == ["a", "b__1", "b__2", "c"]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw", "whole"]


def test_a_repaired_picture_costs_its_own_sequence_alone(
    tmp_path: Path, balls: SimpleNamespace, made: list[str]
) -> None:
    folder = balls.write(tmp_path / "raw", balls.three(views=5))
    broken, kept = folder / "c" / "images" / "frame000003.png", tmp_path / "kept.png"
    shutil.move(broken, kept)
    with pytest.raises(UserError, match="no such image file"):
        balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    shutil.move(kept, broken)
    changed = folder / "a" / "images" / "frame000001.png"
    os.utime(changed, ns=(0, 0))
    balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    assert made == ["a", "b__1", "b__2", "c", "a", "c"]


def test_rows_are_one_array_that_numpy_reads(tmp_path: Path) -> None:
    values = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)
    with parts.Rows(tmp_path / "rows.npy") as rows:
        for low, high in ((0, 2), (2, 3), (3, 5)):
            rows.append(values[low:high])
    assert np.array_equal(np.load(tmp_path / "rows.npy", mmap_mode="r"), values)


PEAK = """
import importlib.util, resource, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("balls", sys.argv[1])
balls = sys.modules["balls"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(balls)
from holofusion.data.preparation.prepare import prepare
prepare(balls.make_settings(image_size=128), "ball", 0, Path(sys.argv[2]), Path(sys.argv[3]), "hash", 1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_sequences(
    tmp_path: Path, balls: SimpleNamespace, repository: Path
) -> None:
    """200 sequences hold 49 MB of crops more than 50 do; kept in memory, they would show."""
    peaks = []
    for count in (50, 200):
        root = tmp_path / str(count)
        balls.write(root, {f"s{k:03d}": balls.Ball(views=5, size=(40, 40)) for k in range(count)})
        command = [
            sys.executable,
            "-c",
            PEAK,
            str(Path(__file__).parents[1] / "conftest.py"),
            str(root),
            str(root / "out"),
        ]
        environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
        assert np.load(root / "out" / "images.npy", mmap_mode="r").shape == (5 * count, 128, 128, 3)
    assert peaks[1] < peaks[0] + 20
