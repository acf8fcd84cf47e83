"""Read a folder in CO3Dv2 layout: annotations, set lists, cameras, images and masks.

Layout and conventions: Reizenstein et al. 2021, "Common Objects in 3D", and PyTorch3D's Implicitron reader.
Null depth, mask, viewpoint and meta are allowed, and so are keys we do not know.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from holofusion.cameras import Cameras
from holofusion.data.images import read_mask, read_photograph
from holofusion.utils.files import DAMAGED, UserError, read_json

FRAME_FILE = "frame_annotations.jgz"
FOCAL_MIN, FOCAL_MAX = 0.2, 100.0  # half sides of the image: fields of view of 157 degrees and of one


@dataclass(frozen=True)
class Frame:
    """One photograph. size: (height, width) in pixels. mask, mass and viewpoint are None where not annotated."""

    sequence: str
    number: int
    image: Path
    size: tuple[int, int]
    mask: Path | None
    mass: float | None
    viewpoint: dict[str, Any] | None


@dataclass(frozen=True)
class Category:
    """The annotations of one category. frames: by sequence, in frame order. quality: camera score, None if unknown."""

    name: str
    frames: dict[str, list[Frame]]
    quality: dict[str, float | None]
    frame_file: Path


def read_category(root: Path, category: str) -> Category:
    """Read the annotation files of ROOT/category. Raises UserError naming what is missing, unreadable or incomplete."""
    folder = root / category
    if not root.is_dir():
        raise UserError(f"{root}: no such data folder")
    if not (folder / FRAME_FILE).is_file():
        present = sorted(path.parent.name for path in root.glob(f"*/{FRAME_FILE}"))
        raise UserError(f"{root}: category {category!r} is absent; present: {', '.join(present) or 'none'}")
    frames: dict[str, list[Frame]] = {}
    for number, entry in enumerate(_read_annotations(folder / FRAME_FILE)):
        try:
            frame = _frame(root, entry)
        except DAMAGED as error:
            raise UserError(f"{folder / FRAME_FILE}: entry {number} is not a frame annotation ({error!r})") from None
        frames.setdefault(frame.sequence, []).append(frame)
    sequence_file = folder / "sequence_annotations.jgz"
    try:
        entries = _read_annotations(sequence_file)
        quality = {entry["sequence_name"]: entry.get("viewpoint_quality_score") for entry in entries}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{sequence_file}: every entry needs a sequence_name") from None
    ordered = {name: sorted(frames[name], key=lambda frame: frame.number) for name in sorted(frames)}
    return Category(category, ordered, quality, folder / FRAME_FILE)


def _read_annotations(path: Path) -> list[Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such annotation file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a complete gzip file ({error})") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON inside the gzip file ({error})") from None
    if not isinstance(content, list):
        raise UserError(f"{path}: expected one JSON list, found {type(content).__name__}")
    return content


def _frame(root: Path, entry: dict[str, Any]) -> Frame:
    mask = entry.get("mask")
    height, width = entry["image"]["size"]
    return Frame(
        sequence=entry["sequence_name"],
        number=int(entry["frame_number"]),
        image=root / entry["image"]["path"],
        size=(int(height), int(width)),
        mask=root / mask["path"] if mask else None,
        mass=mask.get("mass") if mask else None,
        viewpoint=entry.get("viewpoint"),
    )


def read_set_list(root: Path, category: str, subset: str) -> dict[str, dict[str, set[int]]]:
    """Frame numbers by sequence by split (`train`, `val`, `test`) of one subset.

    Raises UserError when the list is absent, naming the subsets there are, or malformed.
    """
    folder = root / category / "set_lists"
    path = folder / f"set_lists_{subset}.json"
    if not path.is_file():
        present = sorted(other.stem.removeprefix("set_lists_") for other in folder.glob("set_lists_*.json"))
        raise UserError(f"{path}: no such set list; dataset.subset may be: {', '.join(present) or 'none is there'}")
    content = read_json(path)
    splits: dict[str, dict[str, set[int]]] = {}
    try:
        for split in ("train", "val", "test"):
            splits[split] = {}
            for name, number, *_ in content.get(split, []):
                splits[split].setdefault(name, set()).add(int(number))
    except DAMAGED:
        raise UserError(f"{path}: expected lists of [sequence, frame number, image path] by split") from None
    return splits


def frame_cameras(frames: Sequence[Frame], frame_file: Path) -> Cameras:
    """Cameras of frames that have one, float64, NDC isotropic: +-1 is half the *shorter* side of the uncropped image.

    The legacy format `ndc_norm_image_bounds` (+-1 is half of each side) is converted.
    frame_file: named in errors. Raises UserError for a value that is missing, an unknown format, or a camera that
    cannot be (see `camera_fault`).
    """
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for frame in frames:
        if fault := camera_fault(frame, frame_file):
            raise UserError(f"{frame_file}: sequence {frame.sequence} frame {frame.number}: {fault}")
        for column, value in zip(columns, _viewpoint(frame, frame_file), strict=True):
            column.append(value)
    shapes = ((3, 3), (3,), (2,), (2,))
    arrays = (np.reshape(column, (-1, *shape)) for column, shape in zip(columns, shapes, strict=True))
    return Cameras(*(torch.tensor(array, dtype=torch.float64) for array in arrays))


def camera_fault(frame: Frame, frame_file: Path) -> str | None:
    """Why the camera of a frame cannot be: not finite, no rotation, or a lens that does not exist; None if it can.

    Raises UserError for a viewpoint that is not written as it should be.
    """
    R, T, focal, principal = _viewpoint(frame, frame_file)
    if not all(np.isfinite(value).all() for value in (R, T, focal, principal)):
        return "camera has a value that is not finite (NaN or infinity)"
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0:
        return "camera matrix R is not a rotation"
    if (focal <= 0).any():
        return f"focal length {focal.tolist()} is not positive"
    if not (FOCAL_MIN <= focal.min() and focal.max() <= FOCAL_MAX):
        return f"focal length {focal.tolist()} is not within {FOCAL_MIN} and {FOCAL_MAX} half sides of the image"
    return None


def _viewpoint(frame: Frame, frame_file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """R (3,3), T (3,), focal length (2,), principal point (2,) in isotropic NDC."""
    where = f"{frame_file}: sequence {frame.sequence} frame {frame.number}"
    viewpoint = frame.viewpoint or {}
    try:
        R, T = np.reshape(viewpoint["R"], (3, 3)).astype(float), np.reshape(viewpoint["T"], 3).astype(float)
        focal, principal = (np.reshape(viewpoint[key], 2).astype(float) for key in ("focal_length", "principal_point"))
    except DAMAGED:
        raise UserError(f"{where}: viewpoint needs R 3x3, T 3, focal_length 2 and principal_point 2") from None
    style = viewpoint.get("intrinsics_format", "ndc_norm_image_bounds")  # absent in the oldest files
    if style not in ("ndc_isotropic", "ndc_norm_image_bounds"):
        raise UserError(f"{where}: unknown intrinsics_format {style!r}")
    sides = np.array(frame.size[::-1], dtype=float)
    stretch = 1.0 if style == "ndc_isotropic" else sides / sides.min()
    return R, T, focal * stretch, principal * stretch


def read_frame(frame: Frame) -> tuple[Image.Image, Image.Image]:
    """Photograph (RGB) and mask (L) of a frame that has a mask.

    Raises UserError when a file is unreadable, the mask has another size than the image, or the image other
    proportions than annotated (its camera would then be wrong); BadMask when the mask's meaning cannot be told.
    """
    if frame.mask is None:
        raise ValueError(f"frame {frame.number} of {frame.sequence} has no mask")
    image, mask = read_photograph(frame.image), Image.fromarray(read_mask(frame.mask))
    if mask.size != image.size:
        raise UserError(
            f"{frame.mask}: mask is {_by(mask.size)} pixels, its image {frame.image.name} {_by(image.size)}"
        )
    height, width = frame.size
    if abs(image.width * height - image.height * width) > max(height, width):
        raise UserError(f"{frame.image}: image is {_by(image.size)} pixels, the annotation says {_by((width, height))}")
    return image, mask


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
