"""The text form of a COLMAP model: `cameras.txt` and `images.txt`, with or without the lines of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holofusion.utils.files import UserError

IMAGE_FORM = "expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"


def read_text(model: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Cameras (number, where, model, (width, height), parameters) and images (where, name, quaternion, translation,
    camera's number) of the model in a folder. Raises UserError naming the line that is malformed.
    """
    return _cameras(model / "cameras.txt"), _images(model / "images.txt")


def _lines(path: Path) -> list[tuple[int, str]]:
    """Line numbers and lines, comments left out, empty lines kept: an image without points has one."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if not line.startswith("#")]


def _cameras(path: Path) -> list[tuple[Any, ...]]:
    cameras = []
    for number, line in _lines(path):
        if not line:
            continue
        try:
            key, model, width, height, *parameters = line.split()
            size = (float(width), float(height))
            cameras.append((int(key), f"{path}:{number}", model, size, tuple(map(float, parameters))))
        except ValueError:
            raise UserError(f"{path}:{number}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS") from None
    return cameras


def _images(path: Path) -> list[tuple[Any, ...]]:
    """Each image has a second line, of points; some tools leave it out, or leave it empty."""
    images: list[tuple[Any, ...]] = []
    points_may_follow = False
    for number, line in _lines(path):
        image = _image(line)
        if image is not None:
            images.append((f"{path}:{number}", *image))
        elif line and not (points_may_follow and _is_points(line)):
            raise UserError(f"{path}:{number}: {IMAGE_FORM}")
        points_may_follow = image is not None
    return images


def _image(line: str) -> tuple[Any, ...] | None:
    """Name, quaternion, translation and camera's number, where a line is that of an image."""
    fields = line.split(maxsplit=9)
    if len(fields) < 10:
        return None
    try:
        int(fields[0])
        numbers, lens = tuple(map(float, fields[1:8])), int(fields[8])
    except ValueError:
        return None
    return None if _is_points(line) else (fields[9], numbers[:4], numbers[4:], lens)


def _is_points(line: str) -> bool:
    """Whether a line holds points: X Y POINT3D_ID again and again, the number whole."""
    fields = line.split()
    try:
        for x, y, number in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
            float(x), float(y), int(number)
    except ValueError:
        return False
    return True
