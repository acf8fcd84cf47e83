"""Read `transforms.json`, as nerfstudio and instant-ngp write it: OpenGL camera-to-world matrices, lenses in pixels.

Format: nerfstudio's data conventions, and the README of instant-ngp on its data sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holofusion.cameras import from_opengl
from holofusion.data.images import image_size
from holofusion.data.importers.lenses import check_rotation, lens_of, pixels_of, refuse_distortion
from holofusion.data.importers.photographs import Photograph, Reader, find_image, mask_beside, say_unlisted
from holofusion.utils.files import UserError, read_json

NAME = "transforms.json"


def find_transforms(folder: Path) -> Path | None:
    """FOLDER/transforms.json, if it is there. Raises UserError where only files of other splits are."""
    if (folder / NAME).is_file():
        return folder / NAME
    splits = sorted(path.name for path in folder.glob("transforms*.json"))
    if splits:
        raise UserError(
            f"{folder}: holds {', '.join(splits)}, but no {NAME}: join their frames in one file of that name"
        )
    return None


def read_transforms(folder: Path, path: Path) -> list[Photograph]:
    """The photographs of the object in `folder` that the file `path` lists, in its order.

    Masks: `mask_path`, else masks/NAME.png, else the alpha channel.
    Raises UserError for a key or image that is missing, a distorted lens, or a pose that is no rigid motion.
    """
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise UserError(f"{path}: `frames` should be a list of photographs with file_path and transform_matrix")
    whole = {key: value for key, value in content.items() if key != "frames"}
    photographs: dict[Path, Photograph] = {}
    for index, frame in enumerate(frames):
        photograph = _photograph(path, index, whole, frame)
        if photograph.image in photographs:
            raise UserError(f"{path}: frames[{index}]: {frame['file_path']} is listed twice")
        photographs[photograph.image] = photograph
    say_unlisted(folder, photographs, f"{path.name} does not list them")
    return list(photographs.values())


def _photograph(path: Path, index: int, whole: Mapping[str, Any], frame: Mapping[str, Any]) -> Photograph:
    """whole: what the file says of all frames."""
    name = frame.get("file_path")
    if not isinstance(name, str) or not name:
        raise UserError(f"{path}: frames[{index}]: file_path is missing")
    values = lens_of(whole, frame)
    refuse_distortion(path, name, values)
    image = find_image(path.parent, name, path)
    pixels = pixels_of(path, name, values, image_size(image))
    try:
        pose = np.reshape(np.array(frame["transform_matrix"], float), (-1, 4))[:3]
        if pose.shape != (3, 4):
            raise ValueError(pose.shape)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: {name}: transform_matrix should be 4x4 numbers, camera to world") from None
    check_rotation(path, name, pose[:, :3])
    if not np.isfinite(pose).all():
        raise UserError(f"{path}: {name}: its pose has a value that is not finite (NaN or infinity)")
    camera = from_opengl(torch.tensor(pose)[None], torch.tensor([pixels], dtype=torch.float64))
    return Photograph(image, _mask(path, name, frame, image), (round(pixels[4]), round(pixels[5])), camera)


def _mask(path: Path, name: str, frame: Mapping[str, Any], image: Path) -> Path | None:
    given = frame.get("mask_path")
    if not given:
        return mask_beside(path.parent, Path(name.replace("\\", "/")).with_name(image.name))
    mask = path.parent / str(given)
    if not mask.is_file() and "\\" in str(given):
        mask = path.parent / str(given).replace("\\", "/")
    if not mask.is_file():
        raise UserError(f"{mask}: no such image file, though mask_path of {name} in {path.name} names it")
    return mask


NERFSTUDIO = Reader(NAME, find_transforms, read_transforms)
