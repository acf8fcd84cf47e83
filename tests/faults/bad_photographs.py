"""Bad photographs: pictures, masks, lists of cameras of every format, and annotations."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from tests.faults import generators
from tests.faults.spoilt import NOT_A_PICTURE, NOT_JSON, NUMBERS, WORDS, Case, Spoil, cut, edited, gone, put, written

IMPORT = "data import {folder}/source {folder}/out --category mug"
CHECK = "data check {folder}/co3d --category mug --subset x"
NO_PIXEL_LEFT_OUT = 0.7  # of a small PNG file: what comes after are checksums and its end


def photographs() -> Iterator[Case]:
    yield from _captures()
    yield from _colmap()
    yield from _annotations()


def _captures() -> Iterator[Case]:
    transforms, first = "source/a/transforms.json", "source/a/images/1.png"

    def lens(key: str) -> Spoil:
        return edited(transforms, put("frames", 0, key))

    def picture(make: Callable[[Any], Image.Image]) -> Spoil:
        def spoil(folder: Path, value: Any) -> None:
            for path in (folder / "source").glob("*/images/*.png"):
                make(value).save(path)

        return spoil

    side = generators.SIDE
    yield Case("images: not a picture", IMPORT, written(first), NOT_A_PICTURE)
    yield Case("images: cut", IMPORT, cut(first)[0], st.floats(0.0, NO_PIXEL_LEFT_OUT))
    yield Case("images: missing", IMPORT, gone(first))
    flat = picture(lambda value: Image.new("RGBA", (side, side), (9, 9, 9, value)))
    yield Case("masks: alpha the same everywhere", IMPORT, flat, st.integers(0, 255))
    yield Case("masks: none", IMPORT, picture(lambda value: Image.new("RGB", (side, side), "red")))
    yield Case("masks: empty", IMPORT, _masks(lambda value: np.zeros((side, side))))
    yield Case("masks: cover everything", IMPORT, _masks(lambda v: np.full((side, side), v)), st.integers(1, 255))
    noise = _masks(lambda seed: np.random.default_rng(seed).integers(60, 200, (side, side)))
    yield Case("masks: a photograph", IMPORT, noise, st.integers(0, 99))
    yield Case("masks: of another size", IMPORT, _masks(lambda n: np.eye(n) * 255), st.integers(3, 9))
    yield Case("masks: cut", IMPORT, _cut_mask, st.floats(0.0, NO_PIXEL_LEFT_OUT))
    yield Case("transforms: not JSON", IMPORT, written(transforms), NOT_JSON)
    yield Case(
        "transforms: no object", IMPORT, written(transforms), generators.JSON.map(lambda v: json.dumps([v]).encode())
    )
    yield Case(
        "transforms: no frames", IMPORT, edited(transforms, lambda content, value: {"frames": value}), st.just([])
    )
    yield Case("transforms: frames are a word", IMPORT, edited(transforms, put("frames")), WORDS)
    yield Case("transforms: no focal length", IMPORT, lens("fl_x"), st.just(...))
    yield Case("transforms: focal length below 0", IMPORT, lens("fl_x"), NUMBERS)
    yield Case("transforms: distortion", IMPORT, lens("k1"), st.floats(1e-6, 2.0))
    yield Case("transforms: distortion of another name", IMPORT, lens("distortion_params"), st.just([0.1, 0, 0, 0]))
    yield Case(
        "transforms: fisheye", IMPORT, lens("camera_model"), st.sampled_from(["OPENCV_FISHEYE", "EQUIRECTANGULAR"])
    )
    yield Case("transforms: no pose", IMPORT, lens("transform_matrix"), st.just(...))
    yield Case("transforms: pose of other shape", IMPORT, lens("transform_matrix"), st.lists(NUMBERS, max_size=5))
    stretched = st.floats(1.2, 9).map(lambda scale: (np.diag([scale, 1, 1, 1]) + 0.0).tolist())
    yield Case("transforms: pose stretched", IMPORT, lens("transform_matrix"), stretched)
    yield Case(
        "transforms: pose not a number", IMPORT, lens("transform_matrix"), st.just(np.full((4, 4), np.nan).tolist())
    )
    yield Case("transforms: file is a number", IMPORT, lens("file_path"), st.integers())
    yield Case("import: no such folder", IMPORT, gone("source"))
    yield Case("import: empty folder", IMPORT, gone("source/a", "source/b"))
    yield Case("import: one object only", IMPORT, gone("source/b"))


def _masks(make: Callable[[Any], np.ndarray]) -> Spoil:
    """Spoils every mask, as files beside the photographs."""

    def spoil(folder: Path, value: Any) -> None:
        for path in (folder / "source").glob("*/images/*.png"):
            mask = path.parent.parent / "masks" / path.name
            mask.parent.mkdir(exist_ok=True)
            Image.fromarray(make(value).astype(np.uint8)).save(mask)

    return spoil


def _cut_mask(folder: Path, share: float) -> None:
    _masks(lambda value: np.eye(generators.SIDE) * 255)(folder, None)
    spoil, _ = cut("source/a/masks/0.png")
    spoil(folder, share)


def _colmap() -> Iterator[Case]:
    def model(folder: Path) -> Path:
        for name in ("a", "b"):
            here = folder / "source" / name
            (here / "transforms.json").unlink()
            cameras, images = generators.binary_model([f"{index}.png" for index in range(3)])
            (here / "cameras.bin").write_bytes(cameras)
            (here / "images.bin").write_bytes(images)
        return folder / "source/a"

    def binary(name: str) -> Spoil:
        def spoil(folder: Path, share: float) -> None:
            path = model(folder) / name
            content = path.read_bytes()
            path.write_bytes(content[: int(len(content) * share)])

        return spoil

    def text(cameras: str, images: str) -> Spoil:
        def spoil(folder: Path, value: Any) -> None:
            here = model(folder)
            for name in ("cameras", "images"):
                (here / f"{name}.bin").unlink()
            (here / "cameras.txt").write_text(cameras.format(value))
            (here / "images.txt").write_text(images.format(value))

        return spoil

    sound, image = "1 PINHOLE 12 12 14 14 6 6\n", "1 1 0 0 0 0 0 3 1 0.png\n\n"
    yield Case("COLMAP: cameras.bin cut", IMPORT, binary("cameras.bin"), st.floats(0, 0.9))
    yield Case("COLMAP: images.bin cut", IMPORT, binary("images.bin"), st.floats(0, 0.9))
    yield Case("COLMAP: distorted", IMPORT, text("1 OPENCV 12 12 14 14 6 6 {} 0 0 0\n", image), st.floats(0.001, 1))
    yield Case("COLMAP: fisheye", IMPORT, text("1 OPENCV_FISHEYE 12 12 14 14 6 6 0 0 0 0\n", image))
    yield Case("COLMAP: unknown lens", IMPORT, text("1 {} 12 12 14 14 6 6\n", image), WORDS)
    yield Case(
        "COLMAP: camera that is not there", IMPORT, text(sound, "1 1 0 0 0 0 0 3 {} 0.png\n\n"), st.integers(2, 99)
    )
    yield Case("COLMAP: too few numbers", IMPORT, text("1 PINHOLE 12 12 14\n", image))
    yield Case("COLMAP: word for a number", IMPORT, text(sound, "1 1 0 0 0 {} 0 3 1 0.png\n\n"), WORDS)
    yield Case("COLMAP: no rotation", IMPORT, text(sound, "1 0 0 0 0 0 0 3 1 0.png\n\n"))
    yield Case("COLMAP: no images", IMPORT, text(sound, "# none\n"))


def _annotations() -> Iterator[Case]:
    frames, sequences = "co3d/mug/frame_annotations.jgz", "co3d/mug/sequence_annotations.jgz"

    def packed(file: str, change: Callable[[Any, Any], Any]) -> Spoil:
        def spoil(folder: Path, value: Any) -> None:
            content = json.loads(gzip.decompress((folder / file).read_bytes()))
            found = change(content, value)
            (folder / file).write_bytes(gzip.compress(json.dumps(content if found is None else found).encode()))

        return spoil

    yield Case("annotations: cut", CHECK, *cut(frames))
    yield Case("annotations: not gzip", CHECK, written(frames), st.binary(min_size=2, max_size=30))
    yield Case("annotations: no list", CHECK, packed(frames, lambda content, value: value), st.integers() | st.text())
    yield Case("annotations: no path of the image", CHECK, packed(frames, put(0, "image")), st.just(...))
    yield Case("annotations: no name of the sequence", CHECK, packed(sequences, put(0, "sequence_name")), st.just(...))
    yield Case("annotations: missing", CHECK, gone(sequences))
    yield Case("annotations: set list missing", CHECK, gone("co3d/mug/set_lists/set_lists_x.json"))
    yield Case("annotations: set list not JSON", CHECK, written("co3d/mug/set_lists/set_lists_x.json"), NOT_JSON)
    yield Case("annotations: no pictures", CHECK, lambda folder, value: None)
    yield Case("annotations: no category", CHECK, gone("co3d/mug"))
