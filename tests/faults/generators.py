"""Bad input by hypothesis: images, masks, `transforms.json` and COLMAP models that are nearly right, or not at all."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

SIDE = 12
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 1e-6, 1e300, 0.5, 48.0]),
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
LENS_KEYS = (
    "fl_x fl_y cx cy w h k1 k4 p2 camera_angle_x camera_angle_y x_fov y_fov camera_model distortion_params is_fisheye "
    "ftheta_p0 latlong lens_mode lens dist_coeffs file_path mask_path transform_matrix"
).split()


def frame(index: int) -> dict[str, Any]:
    """A sound entry of `transforms.json`."""
    angle = index * 1.2
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[:3, 3] = pose[:3, 2] * 3
    return {"file_path": f"images/{index}.png", "fl_x": 14.0, "transform_matrix": pose.tolist()}


def write_pictures(folder: Path, count: int = 3) -> None:
    """Photographs of SIDE x SIDE pixels, with their masks in alpha."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[4:9, 3:8] = 255
    for index in range(count):
        image = Image.new("RGB", (SIDE, SIDE), (40 * index, 90, 20))
        image.putalpha(Image.fromarray(alpha))
        image.save(folder / "images" / f"{index}.png")


@st.composite
def transforms(draw: st.DrawFn) -> bytes:
    """The bytes of a `transforms.json` with a few values, keys or bytes that are wrong."""
    frames: list[Any] = [frame(index) for index in range(3)]
    content: dict[str, Any] = {"camera_model": "OPENCV", "w": SIDE, "h": SIDE, "frames": frames}
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.sampled_from([content, *frames]))
        key, value = draw(st.sampled_from(LENS_KEYS)), draw(JSON | st.just(...))
        if value is ...:
            target.pop(key, None)
        else:
            target[key] = value
    if draw(st.integers(0, 9)) == 0:
        content["frames"] = draw(JSON)
    return damaged(draw, json.dumps(content).encode())


@st.composite
def colmap_text(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """`cameras.txt` and `images.txt`, with fields that are wrong."""
    cameras = [["1", "PINHOLE", str(SIDE), str(SIDE), "14", "14", "6", "6"]]
    images = [[str(k), "1", "0", "0", "0", "0", "0", "3", "1", f"{k}.png"] for k in range(3)]
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.sampled_from([*cameras, *images]))
        row[draw(st.integers(0, len(row) - 1))] = draw(st.text(max_size=5) | NUMBERS.map(str))
    points = draw(st.sampled_from(["\n", "\n\n", "\n1.0 2.0 -1\n", "\n1 2\n"]))
    texts = ("\n".join(map(" ".join, cameras)) + "\n", points.join(map(" ".join, images)) + "\n")
    return damaged(draw, texts[0].encode(errors="replace")), damaged(draw, texts[1].encode(errors="replace"))


def binary_model(names: list[str]) -> tuple[bytes, bytes]:
    """`cameras.bin` and `images.bin` of a sound model, one point in each image."""
    cameras = struct.pack("<QIiQQ4d", 1, 1, 1, SIDE, SIDE, 14.0, 14.0, 6.0, 6.0)
    images = struct.pack("<Q", len(names))
    for number, name in enumerate(names, 1):
        turn = 0.6 * number
        images += struct.pack("<I7dI", number, np.cos(turn), 0, np.sin(turn), 0, 0, 0, 3.0, 1) + name.encode() + b"\0"
        images += struct.pack("<Qddq", 1, 2.0, 3.0, -1)
    return cameras, images


@st.composite
def colmap_binary(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """The same model in binary form, damaged."""
    cameras, images = binary_model([f"{k}.png" for k in range(3)])
    return damaged(draw, cameras), damaged(draw, images)


@st.composite
def image_files(draw: st.DrawFn) -> bytes:
    """An image file of any mode and form, whole or damaged."""
    mode, form = draw(
        st.sampled_from(
            [("L", "PNG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("1", "PNG"), ("P", "PNG"), ("I;16", "PNG")]
            + [
                ("L", "JPEG"),
                ("RGB", "JPEG"),
                ("CMYK", "JPEG"),
                ("RGB", "WEBP"),
                ("F", "TIFF"),
                ("I", "TIFF"),
                ("LAB", "TIFF"),
            ]
        )
    )
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    image = Image.new(mode if mode != "LAB" else "RGB", (width, height))
    values = draw(st.lists(st.integers(0, 255), min_size=width * height, max_size=width * height))
    if mode in ("L", "P", "1", "I", "F", "I;16"):
        for place, value in enumerate(values):
            image.putpixel((place % width, place // width), draw(st.just(value)))
    file = io.BytesIO()
    image.save(file, form)
    return damaged(draw, file.getvalue())


def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The same bytes; or, one time in three, cut, or with one byte changed."""
    if not content or draw(st.integers(0, 2)):
        return content
    place = draw(st.integers(0, len(content) - 1))
    if draw(st.booleans()):
        return content[:place]
    return content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1 :]
