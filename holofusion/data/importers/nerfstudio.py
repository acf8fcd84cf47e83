"""Reading `transforms.json`, as nerfstudio and instant-ngp write it: OpenGL camera-to-world matrices, lenses in pixels.

Format: nerfstudio's data conventions, and the README of instant-ngp on its data sets.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holofusion.cameras import from_opengl
from holofusion.data.importers.photographs import (
    DISTORTION,
    UNDISTORT,
    Photograph,
    check_lens,
    check_rotation,
    mask_beside,
    picture_size,
)
from holofusion.utils.files import UserError, read_json

NAME = "transforms.json"
PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL")  # these without distortion
EXTENSIONS = (".png", ".jpg", ".jpeg")  # tried where a file_path has none, as in NeRF's synthetic scenes


def read_transforms(folder: Path) -> list[Photograph]:
    """The photographs that FOLDER/transforms.json lists, in its order.

    Masks: `mask_path`, else masks/NAME.png, else the alpha channel.
    Raises UserError for a key or image that is missing, a distorted lens, or a pose that is no rigid motion.
    """
    path = folder / NAME
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise UserError(f"{path}: `frames` should be a list of photographs with file_path and transform_matrix")
    return [_photograph(path, index, content | frame) for index, frame in enumerate(frames)]


def _photograph(path: Path, index: int, values: dict[str, Any]) -> Photograph:
    """values: of the whole file, overridden by those of the frame."""
    name = values.get("file_path")
    if not isinstance(name, str):
        raise UserError(f"{path}: frames[{index}]: file_path is missing")
    image = _existing(path.parent / name)
    size, pixels = _lens(path, name, values, image)
    try:
        pose = np.reshape(values["transform_matrix"], (-1, 4)).astype(float)[:3]
        assert pose.shape == (3, 4)
    except (KeyError, TypeError, ValueError, AssertionError):
        raise UserError(f"{path}: {name}: transform_matrix should be 4x4 numbers, camera to world") from None
    check_rotation(path, name, pose[:, :3])
    if not np.isfinite(pose).all():
        raise UserError(f"{path}: {name}: its pose has a value that is not finite (NaN or infinity)")
    camera = from_opengl(torch.tensor(pose)[None], torch.tensor([pixels], dtype=torch.float64))
    given = values.get("mask_path")
    mask = path.parent / given if given else mask_beside(path.parent, Path(name).with_name(image.name))
    return Photograph(image, mask, size, camera)


def _lens(path: Path, name: str, values: dict[str, Any], image: Path) -> tuple[tuple[int, int], list[float]]:
    """(width, height), and fx, fy, cx, cy, width, height. What is left out is worked out as instant-ngp does."""
    if values.get("is_fisheye") or values.get("camera_model", "OPENCV") not in PINHOLES:
        raise UserError(f"{path}: {name}: camera_model {values.get('camera_model', 'fisheye')!r}: {UNDISTORT}")
    stored = picture_size(image)
    lens = {"w": stored[0], "h": stored[1]} | {key: values[key] for key in ("w", "h") if key in values}
    check_lens(path, name, lens | {key: values[key] for key in DISTORTION if key in values})
    for key, angle, side in (("fl_x", "camera_angle_x", "w"), ("fl_y", "camera_angle_y", "h")):
        if key in values:
            lens[key] = values[key]
        elif isinstance(values.get(angle), int | float) and 0 < values[angle] < math.pi:
            lens[key] = lens[side] / 2 / math.tan(values[angle] / 2)
        elif "fl_x" in lens:
            lens[key] = lens["fl_x"]  # square pixels
        else:
            raise UserError(f"{path}: {name}: fl_x or camera_angle_x (radians) is missing: the focal length")
    lens |= {"cx": values.get("cx", lens["w"] / 2), "cy": values.get("cy", lens["h"] / 2)}
    check_lens(path, name, lens)
    return (round(lens["w"]), round(lens["h"])), [lens[key] for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")]


def _existing(image: Path) -> Path:
    tried = [image] if image.suffix else [image, *(image.with_name(image.name + end) for end in EXTENSIONS)]
    for path in tried:
        if path.is_file():
            return path
    raise UserError(f"{image}: no such image file, though {NAME} names it")
