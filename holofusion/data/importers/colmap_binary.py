"""The binary form of a COLMAP model: `cameras.bin` and `images.bin`, little endian."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from holofusion.utils.files import UserError

# Names and numbers of parameters by COLMAP's number of the model, see its `src/colmap/sensor/models.h`.
MODELS = (
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
)
POINT_BYTES = 24  # of a point in an image: x, y, number of the 3D point


class _Bytes:
    """The content of a file, read from front to back."""

    def __init__(self, path: Path) -> None:
        try:
            self.path, self.content, self.place = path, path.read_bytes(), 0
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None

    def take(self, form: str) -> tuple[Any, ...]:
        """Values in the form of `struct`, little endian."""
        form = f"<{form}"
        start = self.skip(struct.calcsize(form))
        return struct.unpack_from(form, self.content, start)

    def skip(self, count: int) -> int:
        """Go on by `count` bytes; returns where they began."""
        start, self.place = self.place, self.place + count
        if self.place > len(self.content):
            raise UserError(f"{self.path}: ends in the middle of an entry, after {len(self.content)} bytes")
        return start

    def text(self) -> str:
        """A string that ends with a zero byte."""
        end = self.content.find(b"\0", self.place)
        if end < 0:
            raise UserError(f"{self.path}: ends in the middle of a name, after {len(self.content)} bytes")
        text, self.place = self.content[self.place : end], end + 1
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise UserError(f"{self.path}: a name at byte {end - len(text)} is not in UTF-8") from None


def read_binary(model: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Cameras and images of the model in a folder, as `colmap_text.read_text`. Raises UserError for a damaged file."""
    return _cameras(_Bytes(model / "cameras.bin")), _images(_Bytes(model / "images.bin"))


def _cameras(data: _Bytes) -> list[tuple[Any, ...]]:
    cameras = []
    for index in range(data.take("Q")[0]):
        number, kind, width, height = data.take("IiQQ")
        if kind not in range(len(MODELS)):
            raise UserError(f"{data.path}:{index + 1}: camera model number {kind} is unknown")
        name, count = MODELS[kind]
        cameras.append(
            (number, f"{data.path}:{index + 1}", name, (float(width), float(height)), data.take(f"{count}d"))
        )
    return cameras


def _images(data: _Bytes) -> list[tuple[Any, ...]]:
    images = []
    for index in range(data.take("Q")[0]):
        _, *pose, lens = data.take("I7dI")
        name = data.text()
        data.skip(data.take("Q")[0] * POINT_BYTES)
        images.append((f"{data.path}:{index + 1}", name, tuple(pose[:4]), tuple(pose[4:]), lens))
    return images
