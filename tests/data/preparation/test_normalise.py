"""Crops, cameras that follow, centre and scale, against analytic spheres."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from holofusion.data.co3d.reader import frame_cameras, read_category
from holofusion.data.preparation.normalise import make_sequence


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("size", [(72, 96), (90, 60)])
def test_a_point_keeps_its_place_in_the_picture(
    tmp_path: Path, balls: SimpleNamespace, size: tuple[int, int], legacy: bool
) -> None:
    dot = (0.45, -0.1, 0.6)
    names = ("a", "b", "c")
    balls.write(tmp_path / "raw", {n: balls.Ball(size=size, dot=dot, legacy=legacy) for n in names})
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]
    row, column = np.mgrid[:48, :48] + 0.5
    for name in names:
        point = (torch.tensor(dot) - torch.tensor(facts[name]["center"])) / facts[name]["scale"]
        for index in data.frames[name]:
            red = data.images[index, ..., 0].astype(float) * (data.masks[index] > 250)
            weight = np.where(red > 60, red, 0.0)
            found = np.array([(column * weight).sum(), (row * weight).sum()]) / weight.sum()
            expected = (1 - data.cameras[index].project(point[None])[0][0, 0].numpy()) * 24
            assert np.abs(found - expected).max() < 0.5


def test_crop_is_square_on_white_with_the_rim_asked_for(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three())
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(context=0.5))
    for image, mask in zip(data.images, data.masks, strict=True):
        assert (image[mask == 0] > 250).all()
        inside = mask >= 128
        box = [np.ptp(np.flatnonzero(inside.any(axis))) + 1 for axis in (0, 1)]
        assert max(box) == pytest.approx(48 / 1.5, abs=1.01)
        middle = [np.flatnonzero(inside.any(axis))[[0, -1]].mean() for axis in (0, 1)]
        assert middle == pytest.approx([23.5, 23.5], abs=1.01)


def test_sphere_gets_its_centre_and_scale(tmp_path: Path, balls: SimpleNamespace) -> None:
    ball = balls.Ball(views=16, size=(160, 160))
    balls.write(tmp_path / "raw", {name: ball for name in ("a", "b", "c")})
    balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(image_size=96))
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]["a"]
    assert facts["center"] == pytest.approx(ball.center, abs=0.04 * ball.radius)
    assert facts["scale"] * 0.9 == pytest.approx(ball.radius, rel=0.05)


def test_rays_of_the_object_meet_the_cube(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three())
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    for index in range(len(data.cameras)):
        pixels = torch.from_numpy(np.flatnonzero(data.masks[index] >= 128))
        origins, directions = data.cameras[index].rays(48, pixels)
        near, far = (-1 - origins) / directions, (1 - origins) / directions
        assert (torch.minimum(near, far).amax(-1) < torch.maximum(near, far).amin(-1)).all()


def test_object_cut_by_the_border_is_kept_and_normalised(tmp_path: Path, balls: SimpleNamespace) -> None:
    """A long lens cuts most views of the sphere somewhere; each part is still seen in most of them."""
    ball = balls.Ball(views=20, size=(120, 120), focal=5.5)
    folder = balls.write(tmp_path / "raw", {name: ball for name in ("a", "b", "c")})
    masks = [np.asarray(Image.open(path)) for path in sorted((folder / "a" / "masks").iterdir())]
    cut = sum(bool(m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any()) for m in masks)
    assert 4 <= cut <= 20
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]["a"]
    assert len(data.frames["a"]) == 20
    assert facts["center"] == pytest.approx(ball.center, abs=0.03 * ball.radius)
    assert facts["scale"] * 0.9 == pytest.approx(ball.radius, rel=0.03)


def test_photographs_cropped_to_the_object_do_not_enlarge_the_cube(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]
) -> None:
    """Beyond a tight photograph nothing is known, yet the sphere must not be thought to reach there."""
    ball = balls.Ball(views=16, size=(160, 160))
    folder = balls.write(tmp_path / "raw", {name: ball for name in ("a", "b", "c")})

    def tighten(frames: list) -> None:
        for frame in frames:
            paths = [tmp_path / "raw" / frame[kind]["path"] for kind in ("image", "mask")]
            left, top, right, bottom = Image.open(paths[1]).getbbox()
            for path in paths:
                Image.open(path).crop((left, top, right, bottom)).save(path)
            half = min(right - left, bottom - top) / 2
            view = frame["viewpoint"]
            shift = np.array([(left + right) / 2 - 80, (top + bottom) / 2 - 80])
            view["principal_point"] = ((80 * np.array(view["principal_point"]) + shift) / half).tolist()
            view["focal_length"] = (80 * np.array(view["focal_length"]) / half).tolist()
            frame["image"]["size"] = [bottom - top, right - left]

    edit_frames(folder, tighten)
    balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(image_size=96))
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]["a"]
    assert facts["center"] == pytest.approx(ball.center, abs=0.04 * ball.radius)
    assert facts["scale"] * 0.9 == pytest.approx(ball.radius, rel=0.08)


def test_real_photographs_are_centred(balls: SimpleNamespace, shared_data: Callable[[str], Path]) -> None:
    """The genuine CO3D video: the cube's centre projects near the middle of the apple in every frame."""
    annotations = read_category(shared_data("co3d_apple20"), "apple")
    frames = annotations.frames["posediffusion_apple"]
    cameras = frame_cameras(frames, annotations.frame_file)
    result = make_sequence(frames, cameras, balls.settings(image_size=64).dataset)
    middle = result.cameras.project(torch.zeros(1, 3))[0][:, 0]
    assert middle.abs().max() < 0.25
    visible = result.cameras.focal.mean(1) / result.cameras.centers().norm(dim=1)
    assert 0.7 < visible.median() < 1.4


def test_frames_with_inverted_masks_are_left_out(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three())
    masks = sorted((tmp_path / "raw").glob("*/*/masks/*.png"))
    first = [path for path in masks if path.parent == masks[0].parent]
    for path in first[1:3]:
        ImageOps.invert(Image.open(path).convert("L")).save(path)
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(min_frames=3))
    dropped = json.loads((tmp_path / "out" / "data.json").read_text())["dropped"]
    assert len(dropped) == 1 and "its mask is of all but the object, as it seems: inverted" in dropped[0]["reason"]
    assert len(data.images) == len(masks) - 2
