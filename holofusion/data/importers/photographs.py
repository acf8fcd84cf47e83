"""Photographs of one's own: where a picture, its mask and its camera come from, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from holofusion.cameras import Cameras
from holofusion.data.co3d.reader import read_picture
from holofusion.utils.files import UserError

DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
UNDISTORT = "lens distortion is not modelled: undistort the images first (`colmap image_undistorter`)"


@dataclass(frozen=True)
class Photograph:
    """One picture that is to be taken over. mask: None where it must be the picture's alpha channel.

    size: (width, height) in pixels that the camera is for.  camera: a batch of one, float64, isotropic NDC.
    """

    image: Path
    mask: Path | None
    size: tuple[int, int]
    camera: Cameras


def mask_beside(folder: Path, image: Path | str) -> Path | None:
    """The mask of `folder`/`image` (or folder/images/...): masks/NAME.png or, extension left out, masks/STEM.png."""
    name = Path(image).as_posix().removeprefix("images/")
    for candidate in (f"{name}.png", Path(name).with_suffix(".png").as_posix()):
        if (folder / "masks" / candidate).is_file():
            return folder / "masks" / candidate
    return None


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file, from its header. Raises UserError if it is missing or no image."""
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError:
        raise UserError(f"{path}: no such image file") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: image cannot be read ({error})") from None


def read_photograph(photograph: Photograph) -> tuple[Image.Image, np.ndarray]:
    """The picture (RGB or RGBA as it is stored) and its mask, uint8 (H,W).

    Raises UserError when a file is unreadable, there is no mask, or sizes disagree.
    """
    path, mask = photograph.image, photograph.mask
    image = read_picture(path, "RGBA")
    if image.size != photograph.size:
        raise UserError(f"{path}: image is {_by(image.size)} pixels, its camera is for {_by(photograph.size)}")
    if mask is None:
        alpha = np.asarray(image)[..., 3]
        if alpha.min() == 255:
            raise UserError(f"{path}: no mask: give mask_path, a file masks/{path.name}.png, or an alpha channel")
        return image, alpha
    cover = read_picture(mask, "L")
    if cover.size != image.size:
        raise UserError(f"{mask}: mask is {_by(cover.size)} pixels, its image {path.name} {_by(image.size)}")
    return image, np.asarray(cover)


def has_alpha(path: Path) -> bool:
    """Whether an image file has an alpha channel."""
    with Image.open(path) as image:
        return image.has_transparency_data


def check_lens(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Raise UserError where the numbers of a lens cannot be used: distortion, or focal lengths that are not positive.

    values: by the names of nerfstudio, fl_x, fl_y, cx, cy, w, h and DISTORTION.
    """
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise UserError(f"{path}: {name}: {key} is {value!r}, a finite number is needed")
        if key in DISTORTION and value != 0:
            raise UserError(f"{path}: {name}: {key} is {value}; {UNDISTORT}")
        if key in ("fl_x", "fl_y", "w", "h") and value <= 0:
            raise UserError(f"{path}: {name}: {key} is {value}, which is not positive")


def check_rotation(path: Path, name: str, rotation: np.ndarray) -> None:
    """Raise UserError where a camera's (3,3) matrix is no rotation."""
    if not np.isfinite(rotation).all():
        raise UserError(f"{path}: {name}: its pose has a value that is not finite (NaN or infinity)")
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        kind = (
            "is singular" if abs(np.linalg.det(rotation)) < 1e-6 else "is not a rotation (scaled, sheared or mirrored)"
        )
        raise UserError(f"{path}: {name}: the 3x3 part of its pose {kind}")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
