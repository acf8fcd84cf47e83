"""The reader against PyTorch3D's own, and against broken folders."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from holofusion.data.co3d.reader import frame_cameras, read_category, read_frame, read_set_list
from holofusion.utils.files import UserError


def pytorch3d_reader(root: Path, category: str) -> object:
    from pytorch3d.implicitron.dataset.json_index_dataset import JsonIndexDataset

    folder = root / category
    return JsonIndexDataset(
        frame_annotations_file=str(folder / "frame_annotations.jgz"),
        sequence_annotations_file=str(folder / "sequence_annotations.jgz"),
        dataset_root=str(root),
        load_images=False,
        load_depths=False,
        load_depth_masks=False,
        load_masks=False,
        remove_empty_masks=False,
        box_crop=False,
        image_height=None,
        image_width=None,
    )


def assert_same_cameras(root: Path, category: str) -> tuple[int, int]:
    """Compare every frame; returns how many have a camera and how many have none."""
    annotations = read_category(root, category)
    ours = {(f.sequence, f.number): f for frames in annotations.frames.values() for f in frames}
    theirs = pytorch3d_reader(root, category)
    assert len(theirs) == len(ours)
    missing = 0
    for index in range(len(theirs)):
        data = theirs[index]
        frame = ours[data.sequence_name, int(data.frame_number)]
        if data.camera is None:
            assert frame.viewpoint is None
            missing += 1
            continue
        camera = frame_cameras([frame], annotations.frame_file)
        assert torch.allclose(camera.R.float(), data.camera.R, atol=1e-6)
        assert torch.allclose(camera.T.float(), data.camera.T, atol=1e-6)
        assert torch.allclose(camera.focal.float(), data.camera.focal_length, atol=1e-6)
        assert torch.allclose(camera.principal.float(), data.camera.principal_point, atol=1e-6)
    return len(theirs) - missing, missing


@pytest.mark.parametrize(
    ("folder", "category", "expected"),
    [
        ("apple_photos", "apple", (3360, 0)),
        ("co3d_apple20", "apple", (20, 0)),
        ("pytorch3d_random_co3dv2", "A", (0, 72)),
    ],
)
def test_cameras_are_pytorch3ds_on_real_folders(
    shared_data: Callable[[str], Path], folder: str, category: str, expected: tuple[int, int]
) -> None:
    assert assert_same_cameras(shared_data(folder), category) == expected


@pytest.mark.parametrize("legacy", [False, True])
def test_cameras_are_pytorch3ds_in_both_intrinsics_formats(
    tmp_path: Path, balls: SimpleNamespace, legacy: bool
) -> None:
    balls.write(
        tmp_path, {"a": balls.Ball(legacy=legacy, size=(72, 96)), "b": balls.Ball(legacy=legacy, size=(80, 40))}
    )
    assert assert_same_cameras(tmp_path, "ball") == (16, 0)


def test_null_fields_and_unknown_keys_are_taken(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]
) -> None:
    folder = balls.write(tmp_path, {"a": balls.Ball(views=6)})

    def change(frames: list) -> None:
        frames[0] |= {"mask": None, "viewpoint": None, "meta": {"frame_type": "val"}, "rating": 5}
        del frames[1]["mask"], frames[1]["viewpoint"], frames[1]["meta"], frames[1]["depth"]

    edit_frames(folder, change)
    frames = read_category(tmp_path, "ball").frames["a"]
    assert [frame.mask is None for frame in frames] == [True, True, False, False, False, False]
    assert [frame.viewpoint is None for frame in frames] == [True, True, False, False, False, False]


def test_category_absent_names_those_present(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path, {"a": balls.Ball(views=1)}, category="ball")
    balls.write(tmp_path, {"a": balls.Ball(views=1)}, category="cube")
    with pytest.raises(UserError, match="'apple' is absent; present: ball, cube"):
        read_category(tmp_path, "apple")
    with pytest.raises(UserError, match="nowhere: no such data folder"):
        read_category(tmp_path / "nowhere", "apple")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "not a complete gzip"),
        (gzip.compress(b"[" + b" " * 5000 + b"]", mtime=0)[:-9], "not a complete gzip"),
        (gzip.compress(b"[{", mtime=0), "not valid JSON"),
        (gzip.compress(b"\xff\xfe", mtime=0), "not valid JSON"),
        (gzip.compress(b"{}", mtime=0), "expected one JSON list"),
        (gzip.compress(b'[{"frame_number": 1}]', mtime=0), "entry 0 is not a frame annotation"),
        (gzip.compress(b"[3]", mtime=0), "entry 0 is not a frame annotation"),
    ],
)
def test_broken_annotation_file_is_named(tmp_path: Path, balls: SimpleNamespace, content: bytes, message: str) -> None:
    folder = balls.write(tmp_path, {"a": balls.Ball(views=1)})
    (folder / "frame_annotations.jgz").write_bytes(content)
    with pytest.raises(UserError, match=rf"frame_annotations\.jgz: .*{message}") as caught:
        read_category(tmp_path, "ball")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("T", [0.0, float("nan"), 1.0], "not finite"),
        ("R", (2 * np.eye(3)).tolist(), "not a rotation"),
        ("R", np.diag([1.0, 1.0, -1.0]).tolist(), "not a rotation"),
        ("R", [[1.0, 0.0], [0.0, 1.0]], "needs R 3x3"),
        ("focal_length", [2.0, -2.0], "not positive"),
        ("focal_length", [2.0, 1e3], "not within 0.2 and 100.0"),
        ("principal_point", None, "principal_point 2"),
        ("intrinsics_format", "pixels", "unknown intrinsics_format 'pixels'"),
    ],
)
def test_broken_camera_is_named(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None], key: str, value: object, message: str
) -> None:
    folder = balls.write(tmp_path, {"a": balls.Ball(views=3)})
    edit_frames(folder, lambda frames: frames[1]["viewpoint"].update({key: value}))
    annotations = read_category(tmp_path, "ball")
    with pytest.raises(UserError, match=rf"frame_annotations\.jgz: sequence a frame 1: .*{message}"):
        frame_cameras(annotations.frames["a"], annotations.frame_file)


def test_set_list_by_split_and_sequence(tmp_path: Path, balls: SimpleNamespace) -> None:
    folder = balls.write(tmp_path, {"a": balls.Ball(views=2), "b": balls.Ball(views=1, split="val")})
    assert read_set_list(tmp_path, "ball", "fewview_dev") == {"train": {"a": {0, 1}}, "val": {"b": {0}}, "test": {}}
    with pytest.raises(UserError, match="set_lists_all.json: .*may be: fewview_dev"):
        read_set_list(tmp_path, "ball", "all")
    path = folder / "set_lists" / "set_lists_fewview_dev.json"
    for broken in ([], {"train": ["a"]}, {"train": [["a", "first", "x"]]}):
        path.write_text(json.dumps(broken))
        with pytest.raises(UserError, match="set_lists_fewview_dev.json"):
            read_set_list(tmp_path, "ball", "fewview_dev")


def test_picture_of_other_proportions_than_annotated_is_refused(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]
) -> None:
    folder = balls.write(tmp_path, {"a": balls.Ball(views=2)})
    edit_frames(folder, lambda frames: frames[0]["image"].update(size=[96, 72]))
    frames = read_category(tmp_path, "ball").frames["a"]
    with pytest.raises(UserError, match="frame000000.png: image is 96x72 pixels, the annotation says 72x96"):
        read_frame(frames[0])
    assert read_frame(frames[1])[0].size == (96, 72)
