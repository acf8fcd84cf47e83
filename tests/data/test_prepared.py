"""Prepared data as it is read back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from holofusion.data.preparation.prepare import prepare
from holofusion.data.prepared import PreparedCategory
from holofusion.utils.files import UserError


@pytest.fixture
def prepared(tmp_path: Path, balls: SimpleNamespace) -> Path:
    balls.write(tmp_path / "raw", {name: balls.Ball(views=5, size=(40, 40)) for name in "abc"})
    prepare(balls.settings(image_size=16), "ball", 0, tmp_path / "raw", tmp_path / "out", "1234", 1)
    return tmp_path / "out"


def test_batch_gives_the_rows_in_the_order_asked(prepared: Path) -> None:
    data = PreparedCategory.load(prepared)
    assert isinstance(data.images, np.memmap) and data.config_hash == "1234" and data.image_size == 16
    assert sorted(row for rows in data.frames.values() for row in rows) == list(range(15))
    for rows in ([7, 2, 7], torch.tensor([7, 2, 7])):
        images, masks, cameras = data.batch(rows)
        assert images.shape == (3, 3, 16, 16) and masks.shape == (3, 1, 16, 16)
        assert images.dtype == masks.dtype == torch.float32 and masks.max() == 1 and masks.min() == 0
        assert torch.equal(images[1], torch.from_numpy(data.images[2].copy()).permute(2, 0, 1) / 255)
        assert torch.equal(images[0], images[2])
        assert torch.equal(masks[1, 0], torch.from_numpy(data.masks[2].copy()) / 255)
        assert torch.equal(cameras.T, data.cameras.T[[7, 2, 7]])


def test_white_is_one_outside_the_object(prepared: Path) -> None:
    images, masks, _ = PreparedCategory.load(prepared).batch(range(15))
    assert images.amin(1, keepdim=True)[masks == 0].min() > 0.98


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data.json"):
        PreparedCategory.load(tmp_path / "absent")


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "cameras.safetensors", "split.json", "turntable.json"])
def test_a_damaged_file_is_named(prepared: Path, name: str) -> None:
    content = (prepared / name).read_bytes()
    (prepared / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"damaged|not valid JSON"):
        PreparedCategory.load(prepared)
    (prepared / name).unlink()
    with pytest.raises(UserError, match=r"damaged|no such file"):
        PreparedCategory.load(prepared)


def test_rows_that_do_not_match_the_cameras_are_refused(prepared: Path) -> None:
    np.save(prepared / "masks.npy", np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(UserError, match="differ in number"):
        PreparedCategory.load(prepared)


def test_cameras_of_another_convention_are_refused(prepared: Path) -> None:
    path = prepared / "evaluation_cameras.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"convention": "opencv"}))
    with pytest.raises(UserError, match=r"evaluation_cameras\.json: .*'opencv'"):
        PreparedCategory.load(prepared)


def test_where_the_images_came_from_is_kept(prepared: Path) -> None:
    assert PreparedCategory.load(prepared).source == "co3d"
