"""Reading a COLMAP model in text form: `cameras.txt` and `images.txt`, world-to-camera poses in OpenCV's convention.

Format: COLMAP's documentation, "Output Format".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from holofusion.cameras import from_opencv
from holofusion.data.importers.photographs import UNDISTORT, Photograph, check_lens, check_rotation, mask_beside
from holofusion.utils.files import UserError

PLACES = (".", "sparse", "sparse/0")  # below an object's folder
PINHOLES = {"SIMPLE_PINHOLE": (0, 0, 1, 2), "PINHOLE": (0, 1, 2, 3)}  # places of fx, fy, cx, cy


def find_model(folder: Path) -> Path | None:
    """The folder of the COLMAP model that belongs to an object's folder, if there is one.

    Raises UserError for a model in binary form.
    """
    for place in PLACES:
        if (folder / place / "images.txt").is_file():
            return folder / place
    for place in PLACES:
        if (folder / place / "images.bin").is_file():
            found = folder / place
            raise UserError(f"{found}: binary model; convert it: colmap model_converter --output_type TXT")
    return None


def read_colmap(folder: Path, model: Path) -> list[Photograph]:
    """The photographs of the object in `folder` whose cameras are in `model`, ordered by name.

    Images are looked for in FOLDER/images, then in FOLDER. Masks: masks/NAME.png, else the alpha channel.
    Raises UserError for a line that is malformed, a lens that is not a pinhole, or an image that is missing.
    """
    lenses, photographs = _read_lenses(model / "cameras.txt"), {}
    path = model / "images.txt"
    lines = iter(_lines(path))
    for number, line in lines:
        if not line:
            continue
        next(lines, None)  # the image's points, perhaps none
        fields = line.split(maxsplit=9)
        try:
            quaternion, translation = np.array(fields[1:5], float), np.array(fields[5:8], float)
            pixels, name = lenses[fields[8]], fields[9]
        except (IndexError, ValueError):
            raise UserError(f"{path}:{number}: expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME") from None
        except KeyError:
            raise UserError(f"{path}:{number}: camera {fields[8]} is not in cameras.txt") from None
        rotation = _rotation(path, number, name, quaternion, translation)
        camera = from_opencv(
            torch.tensor(rotation)[None], torch.tensor(translation)[None], torch.tensor([pixels], dtype=torch.float64)
        )
        photographs[name] = Photograph(
            _image(folder, name, path), mask_beside(folder, name), (round(pixels[4]), round(pixels[5])), camera
        )
    if not photographs:
        raise UserError(f"{path}: lists no image")
    return [photographs[name] for name in sorted(photographs)]


def _lines(path: Path) -> list[tuple[int, str]]:
    """Line numbers and lines, comments left out, empty lines kept: an image without points has one."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if not line.startswith("#")]


def _read_lenses(path: Path) -> dict[str, list[float]]:
    """fx, fy, cx, cy, width, height by camera id."""
    lenses = {}
    for number, line in _lines(path):
        if not line:
            continue
        key, model, *rest = (*line.split(), "", "")
        if model not in PINHOLES:
            raise UserError(f"{path}:{number}: camera model {model!r} is not PINHOLE or SIMPLE_PINHOLE; {UNDISTORT}")
        try:
            width, height, *values = (float(value) for value in rest if value)
            fx, fy, cx, cy = (values[place] for place in PINHOLES[model])
        except (ValueError, IndexError):
            raise UserError(f"{path}:{number}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS") from None
        named = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": width, "h": height}
        check_lens(path, f"camera {key}", named)
        lenses[key] = list(named.values())
    return lenses


def _rotation(path: Path, number: int, name: str, quaternion: np.ndarray, translation: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(quaternion)
    if not (np.isfinite(length) and length > 1e-6 and np.isfinite(translation).all()):
        raise UserError(f"{path}:{number}: {name}: its pose is singular (a quaternion of length {length:g})")
    w, x, y, z = quaternion / length
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    check_rotation(path, name, rotation)
    return rotation


def _image(folder: Path, name: str, listed: Path) -> Path:
    for path in (folder / "images" / name, folder / name):
        if path.is_file():
            return path
    raise UserError(f"{folder / 'images' / name}: no such image file, though {listed.name} names it")
