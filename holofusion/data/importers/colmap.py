"""Read COLMAP models, text or binary: world-to-camera poses in OpenCV's convention, one or more models per object.

Format: COLMAP's documentation, "Output Format", and `src/colmap/scene/reconstruction_io.cc` for the binary form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from holofusion.cameras import from_opencv
from holofusion.data.importers.colmap_binary import read_binary
from holofusion.data.importers.colmap_text import read_text
from holofusion.data.importers.lenses import UNDISTORT, check_numbers, check_rotation
from holofusion.data.importers.photographs import Photograph, Reader, find_image, mask_beside, say_unlisted
from holofusion.utils.files import UserError
from holofusion.utils.progress import say

PLACES = (".", "sparse", "colmap", "colmap/sparse", "dense/sparse", "model")  # and numbered folders in these

# Parameters by model, in COLMAP's order; see its `src/colmap/sensor/models.h`.
LENS_PARAMETERS = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
}


@dataclass(frozen=True)
class Lens:
    """A camera of a model as COLMAP writes it. where: file and line or number, for errors."""

    where: str
    model: str
    size: tuple[float, float]
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class Pose:
    """An image of a model: quaternion (w, x, y, z) and translation, world to camera; number of its camera."""

    where: str
    name: str
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    lens: int


FORMS: dict[str, Callable[[Path], tuple[list, list]]] = {"txt": read_text, "bin": read_binary}

Model = tuple[dict[int, Lens], list[Pose]]


def find_model(folder: Path) -> Path | None:
    """The folder of the COLMAP model that belongs to an object's folder: of several, that with most images."""
    models = _models(folder)
    if len(models) < 2:
        return models[0] if models else None
    counts = {model: len(_read(model)[1]) for model in models}
    largest = max(models, key=lambda model: counts[model])
    others = ", ".join(f"{model.relative_to(folder)} ({counts[model]})" for model in models if model != largest)
    say(
        f"{folder}: {len(models)} COLMAP models: {largest.relative_to(folder)} is taken, with {counts[largest]} images, "
        f"the most; not {others}"
    )
    return largest


def _models(folder: Path) -> list[Path]:
    places = [folder / place for place in PLACES]
    places += [
        sub
        for place in places
        if place.is_dir()
        for sub in sorted((p for p in place.iterdir() if p.name.isdecimal() and p.is_dir()), key=lambda p: int(p.name))
    ]
    return [place for place in places if any((place / f"images.{end}").is_file() for end in FORMS)]


def _read(model: Path) -> Model:
    """A model in either form. Raises UserError where both are there, and hold different images."""
    forms = [read for ending, read in FORMS.items() if (model / f"images.{ending}").is_file()]
    found = [read(model) for read in forms]
    names = [{pose[1] for pose in poses} for _, poses in found]
    if names[0] != names[-1]:
        raise UserError(
            f"{model}: images.txt and images.bin are of different models, with {len(names[0])} and {len(names[-1])} images; "
            "remove the files of one"
        )
    lenses, poses = found[0]
    return {key: Lens(*values) for key, *values in lenses}, [Pose(*values) for values in poses]


def read_colmap(folder: Path, model: Path) -> list[Photograph]:
    """The photographs of the object in `folder` whose cameras are in `model`, ordered by name.

    Images are looked for in FOLDER/images, then in FOLDER. Masks: masks/NAME.png, else the alpha channel. Photographs that
    the model does not hold are counted and printed.
    Raises UserError for a model that is malformed, a lens that is not a pinhole, or an image that is missing.
    """
    lenses, poses = _read(model)
    photographs: dict[str, Photograph] = {}
    for pose in poses:
        if pose.lens not in lenses:
            raise UserError(
                f"{pose.where}: camera {pose.lens} is not in {'cameras.txt' if '.txt' in pose.where else 'cameras.bin'}"
            )
        if pose.name in photographs:
            raise UserError(f"{pose.where}: {pose.name} is listed twice")
        pixels = _pixels(lenses[pose.lens])
        rotation = _rotation(pose)
        camera = from_opencv(
            torch.tensor(rotation)[None],
            torch.tensor(pose.translation, dtype=torch.float64)[None],
            torch.tensor([pixels], dtype=torch.float64),
        )
        image, name = _image(folder, pose), pose.name.replace("\\", "/")
        size = (round(pixels[4]), round(pixels[5]))
        photographs[pose.name] = Photograph(image, mask_beside(folder, name), size, camera)
    if not photographs:
        raise UserError(f"{model / 'images.txt'}: lists no image")
    say_unlisted(folder, [p.image for p in photographs.values()], f"COLMAP found no camera for them ({model.name})")
    return [photographs[name] for name in sorted(photographs)]


def _pixels(lens: Lens) -> list[float]:
    """fx, fy, cx, cy, width, height of a lens without distortion."""
    if lens.model not in LENS_PARAMETERS:
        raise UserError(f"{lens.where}: camera model {lens.model!r} is not a pinhole; {UNDISTORT}")
    names = LENS_PARAMETERS[lens.model].split()
    values = dict(zip(names, lens.parameters, strict=False))
    if len(lens.parameters) != len(names):
        what = f"{len(lens.parameters)} parameters, not {len(names)} ({' '.join(names)})"
        if "PINHOLE" not in lens.model:
            raise UserError(f"{lens.where}: camera model {lens.model!r} is not a pinhole, and has {what}; {UNDISTORT}")
        raise UserError(f"{lens.where}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS; {lens.model} has {what}")
    for key in names:
        if key[0] in "kp" and values[key] != 0:
            raise UserError(
                f"{lens.where}: camera model {lens.model!r} is not a pinhole, its {key} is {values[key]}; {UNDISTORT}"
            )
    focal = values.get("f", 0.0)
    named = {
        "fl_x": values.get("fx", focal),
        "fl_y": values.get("fy", focal),
        "cx": values["cx"],
        "cy": values["cy"],
        "w": lens.size[0],
        "h": lens.size[1],
    }
    path, _, place = lens.where.rpartition(":")
    check_numbers(Path(path), f"camera in line {place}", named)
    return list(named.values())


def _rotation(pose: Pose) -> np.ndarray:
    quaternion, translation = np.array(pose.quaternion, float), np.array(pose.translation, float)
    length = np.linalg.norm(quaternion)
    if not (np.isfinite(length) and length > 1e-6 and np.isfinite(translation).all()):
        raise UserError(f"{pose.where}: {pose.name}: its pose is singular (a quaternion of length {length:g})")
    w, x, y, z = quaternion / length
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    check_rotation(Path(pose.where), pose.name, rotation)
    return rotation


def _image(folder: Path, pose: Pose) -> Path:
    listed = Path(pose.where.rpartition(":")[0])
    spelled = pose.name.replace("\\", "/")
    for place in (folder / "images", folder):
        if (place / pose.name).is_file() or (place / spelled).is_file():
            return find_image(place, pose.name, listed)
    return find_image(folder / "images", pose.name, listed)


COLMAP = Reader("a COLMAP model (cameras and images, .txt or .bin)", find_model, read_colmap)
