"""COLMAP's models as they come: text or binary, several of them, one or two lines an image, names with spaces."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from holofusion.data.importers.colmap import find_model, read_colmap
from holofusion.utils.files import UserError
from tests.faults.generators import SIDE, binary_model, write_pictures

CAMERAS = f"1 PINHOLE {SIDE} {SIDE} 14 14 6 6\n"


def image(number: int, name: str) -> str:
    return f"{number} 1 0 0 0 0 {0.1 * number} 3 1 {name}"


def model(folder: Path, names: list[str], between: str = "\n\n", cameras: str = CAMERAS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text(cameras)
    (folder / "images.txt").write_text("".join(image(k, name) + between for k, name in enumerate(names, 1)))
    return folder


@pytest.mark.parametrize("between", ["\n", "\n\n", "\n1.5 2.5 -1 3.5 4.5 7\n"])
def test_one_or_two_lines_an_image(tmp_path: Path, between: str) -> None:
    write_pictures(tmp_path)
    model(tmp_path / "sparse/0", ["0.png", "1.png", "2.png"], between)
    photographs = read_colmap(tmp_path, find_model(tmp_path))
    assert [p.image.name for p in photographs] == ["0.png", "1.png", "2.png"]


def test_binary_is_read_as_text_is(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    names = ["0.png", "1.png", "2.png"]
    folder = tmp_path / "sparse/0"
    folder.mkdir(parents=True)
    for name, content in zip(("cameras.bin", "images.bin"), binary_model(names), strict=True):
        (folder / name).write_bytes(content)
    binary = read_colmap(tmp_path, find_model(tmp_path))
    lines = []
    for number, name in enumerate(names, 1):
        w, y = math.cos(0.6 * number), math.sin(0.6 * number)
        lines.append(f"{number} {w!r} 0 {y!r} 0 0 0 3.0 1 {name}\n\n")
    (folder / "images.txt").write_text("".join(lines))
    (folder / "cameras.txt").write_text(CAMERAS)
    for one, other in zip(binary, read_colmap(tmp_path, find_model(tmp_path)), strict=True):
        assert one.image == other.image and torch.equal(one.camera.focal, other.camera.focal)
        assert torch.allclose(one.camera.R, other.camera.R, atol=1e-12) and torch.equal(one.camera.T, other.camera.T)
    (folder / "images.txt").unlink()
    content = (folder / "images.bin").read_bytes()
    for cut in range(0, len(content), 7):
        (folder / "images.bin").write_bytes(content[:cut])
        with pytest.raises(UserError, match="images.bin: ends in the middle"):
            read_colmap(tmp_path, folder)


def test_the_largest_of_several_models_is_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path)
    model(tmp_path / "sparse/0", ["0.png"])
    model(tmp_path / "sparse/1", ["0.png", "1.png"])
    assert find_model(tmp_path) == tmp_path / "sparse/1"
    read_colmap(tmp_path, tmp_path / "sparse/1")
    said = capsys.readouterr().err
    assert "2 COLMAP models: sparse/1 is taken, with 2 images, the most; not sparse/0 (1)" in said
    assert "1 of 3 photographs left out: COLMAP found no camera for them (1); the first 2.png" in said


def test_text_and_binary_of_different_models_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    folder = model(tmp_path / "sparse/0", ["0.png"])
    for name, content in zip(("cameras.bin", "images.bin"), binary_model(["0.png", "1.png"]), strict=True):
        (folder / name).write_bytes(content)
    with pytest.raises(UserError, match="sparse/0: images.txt and images.bin are of different models, with 1 and 2"):
        read_colmap(tmp_path, find_model(tmp_path))


def test_names_may_hold_folders_and_spaces(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "images/left eye").mkdir()
    (tmp_path / "images/0.png").rename(tmp_path / "images/left eye/a b.png")
    (tmp_path / "masks/left eye").mkdir(parents=True)
    (tmp_path / "images/1.png").rename(tmp_path / "masks/left eye/a b.png.png")
    (photograph,) = read_colmap(tmp_path, model(tmp_path / "sparse", ["left eye/a b.png"]))
    assert photograph.image == tmp_path / "images/left eye/a b.png"
    assert photograph.mask == tmp_path / "masks/left eye/a b.png.png"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SIMPLE_RADIAL 12 12 14 6 6 0.000001", "'SIMPLE_RADIAL' is not a pinhole, its k1 is 1e-06; .*undistort"),
        ("OPENCV 12 12 14 14 6 6 0 0 0 0.1", "'OPENCV' is not a pinhole, its p2 is 0.1"),
        ("OPENCV_FISHEYE 12 12 14 14 6 6 0 0 0 0", "'OPENCV_FISHEYE' is not a pinhole"),
        ("FOV 12 12 14 14 6 6 0", "'FOV' is not a pinhole"),
    ],
)
def test_distorted_models_are_refused_by_name(tmp_path: Path, line: str, message: str) -> None:
    write_pictures(tmp_path)
    folder = model(tmp_path / "sparse", ["0.png"], cameras=f"1 {line}\n")
    with pytest.raises(UserError, match=f"cameras.txt:1: camera model {message}"):
        read_colmap(tmp_path, folder)


def test_distortion_of_zero_is_a_pinhole(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    folder = model(tmp_path / "sparse", ["0.png"], cameras="1 SIMPLE_RADIAL 12 12 14 6 6 0\n")
    assert len(read_colmap(tmp_path, folder)) == 1
