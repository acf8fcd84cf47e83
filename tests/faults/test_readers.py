"""Readers of what people bring, fuzzed: whatever the bytes are, they are read, or refused in one line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given

from holofusion.data.co3d.reader import frame_cameras, read_category, read_set_list
from holofusion.data.images import read_mask, read_photograph
from holofusion.data.importers.captures import import_images
from holofusion.data.importers.colmap import find_model, read_colmap
from holofusion.data.importers.nerfstudio import find_transforms, read_transforms
from holofusion.data.importers.photographs import read_files
from holofusion.utils.files import UserError
from tests.faults import generators
from tests.faults.tally import examples, tried

FUZZ = examples(60, 3000)


def refused_or_read(read: Callable[[], object]) -> None:
    try:
        read()
    except UserError as error:
        assert str(error) and "\n" not in str(error)
    tried("readers")


@FUZZ
@given(content=generators.transforms())
def test_transforms(tmp_path: Path, content: bytes) -> None:
    generators.write_pictures(tmp_path)
    (tmp_path / "transforms.json").write_bytes(content)
    refused_or_read(
        lambda: [read_files(photograph) for photograph in read_transforms(tmp_path, find_transforms(tmp_path))]
    )


@FUZZ
@given(content=generators.colmap_text())
def test_colmap_text(tmp_path: Path, content: tuple[bytes, bytes]) -> None:
    generators.write_pictures(tmp_path)
    for name, part in zip(("cameras.txt", "images.txt"), content, strict=True):
        (tmp_path / name).write_bytes(part)
    refused_or_read(lambda: [read_files(p) for p in read_colmap(tmp_path, find_model(tmp_path))])


@FUZZ
@given(content=generators.colmap_binary())
def test_colmap_binary(tmp_path: Path, content: tuple[bytes, bytes]) -> None:
    generators.write_pictures(tmp_path)
    for name, part in zip(("cameras.bin", "images.bin"), content, strict=True):
        (tmp_path / name).write_bytes(part)
    refused_or_read(lambda: [read_files(p) for p in read_colmap(tmp_path, find_model(tmp_path))])


@FUZZ
@given(content=generators.image_files())
def test_image_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    refused_or_read(lambda: read_mask(tmp_path / "a.png"))
    refused_or_read(lambda: read_photograph(tmp_path / "a.png"))


@FUZZ
@given(entry=generators.JSON, lists=generators.JSON)
def test_annotations(tmp_path: Path, entry: object, lists: object) -> None:
    folder = tmp_path / "mug"
    (folder / "set_lists").mkdir(parents=True, exist_ok=True)
    sound = {"sequence_name": "a", "frame_number": 1, "image": {"path": "a.png", "size": [9, 9]}, "viewpoint": entry}
    for number, frames in enumerate((entry, [entry], [sound], [sound | {"mask": entry}])):
        (folder / "frame_annotations.jgz").write_bytes(gzip.compress(json.dumps(frames).encode()))
        (folder / "sequence_annotations.jgz").write_bytes(gzip.compress(json.dumps([lists, {}][:number]).encode()))

        def read() -> None:
            annotations = read_category(tmp_path, "mug")
            for frames in annotations.frames.values():
                frame_cameras(frames, annotations.frame_file)

        refused_or_read(read)
    (folder / "set_lists/set_lists_x.json").write_text(json.dumps({"train": lists}))
    refused_or_read(lambda: read_set_list(tmp_path, "mug", "x"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_a_refused_import_leaves_nothing(tmp_path: Path, share: float) -> None:
    for name in ("a", "b"):
        generators.write_pictures(tmp_path / "source" / name)
        frames = [generators.frame(index) for index in range(3)]
        (tmp_path / "source" / name / "transforms.json").write_text(json.dumps({"frames": frames}))
    picture = tmp_path / "source/b/images/1.png"
    content = picture.read_bytes()
    picture.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"b/images/1\.png: image cannot be read"):
        import_images(tmp_path / "source", tmp_path / "out", "mug")
    assert not list(tmp_path.glob("out/*"))
