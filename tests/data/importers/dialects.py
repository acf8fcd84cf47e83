"""Embedded data written as others write photographs and cameras: nerfstudio, instant-ngp, COLMAP."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

SIZE = 48
FLIP = np.diag([-1.0, 1.0, -1.0, 1.0])  # PyTorch3D's camera axes in OpenGL's


def frames_of(root: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for frame in json.loads(gzip.decompress((root / "donut" / "frame_annotations.jgz").read_bytes())):
        found.setdefault(frame["sequence_name"], []).append(frame)
    return found


def pose(frame: dict[str, Any]) -> np.ndarray:
    """Camera to world (4,4), column vectors, in PyTorch3D's camera axes."""
    R, T = np.array(frame["viewpoint"]["R"]), np.array(frame["viewpoint"]["T"])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = R, -R @ T
    return matrix


def copy_pictures(root: Path, frames: list[dict[str, Any]], folder: Path, alpha: bool = False) -> list[str]:
    """Images, and masks beside them or as their alpha channel; returns the images' names."""
    (folder / "images").mkdir(parents=True)
    names = []
    for frame in frames:
        image, mask = (root / frame[kind]["path"] for kind in ("image", "mask"))
        names.append(image.with_suffix(".png").name if alpha else image.name)
        if alpha:
            picture = Image.open(image).convert("RGBA")
            picture.putalpha(Image.open(mask))
            picture.save(folder / "images" / names[-1])
        else:
            (folder / "masks").mkdir(exist_ok=True)
            shutil.copy(image, folder / "images")
            shutil.copy(mask, folder / "masks")
    return names


def as_nerfstudio(root: Path, frames: list[dict[str, Any]], folder: Path) -> None:
    """One lens per frame, sizes given, masks by mask_path."""
    entries = []
    for name, frame in zip(copy_pictures(root, frames, folder), frames, strict=True):
        focal = frame["viewpoint"]["focal_length"][0] * SIZE / 2
        entries.append(
            {
                "file_path": f"images/{name}",
                "mask_path": f"masks/{Path(name).stem}.png",
                "fl_x": focal,
                "fl_y": focal,
                "transform_matrix": (pose(frame) @ FLIP).tolist(),
            }
        )
    values = {"camera_model": "OPENCV", "w": SIZE, "h": SIZE, "cx": SIZE / 2, "cy": SIZE / 2, "k1": 0.0, "p2": 0}
    (folder / "transforms.json").write_text(json.dumps(values | {"frames": entries}))


def as_instant_ngp(root: Path, frames: list[dict[str, Any]], folder: Path) -> None:
    """Angles of view, no sizes, no endings, alpha channels."""
    entries = []
    for name, frame in zip(copy_pictures(root, frames, folder, alpha=True), frames, strict=True):
        angle = 2 * math.atan(1 / frame["viewpoint"]["focal_length"][0])
        entries.append(
            {
                "file_path": f"./images/{Path(name).stem}",
                "camera_angle_x": angle,
                "transform_matrix": (pose(frame) @ FLIP).tolist(),
            }
        )
    (folder / "transforms.json").write_text(json.dumps({"frames": entries, "aabb_scale": 4}))


def as_colmap(root: Path, frames: list[dict[str, Any]], folder: Path) -> None:
    """A text model in sparse/0, images in another order, without points; every second lens with one focal length."""
    names = copy_pictures(root, frames, folder)
    lenses, images = ["# Camera list"], ["# Image list", "# two lines each"]
    for number, (name, frame) in enumerate(zip(names, frames, strict=True), 1):
        focal = frame["viewpoint"]["focal_length"][0] * SIZE / 2
        model = (
            f"PINHOLE {SIZE} {SIZE} {focal!r} {focal!r}" if number % 2 else f"SIMPLE_PINHOLE {SIZE} {SIZE} {focal!r}"
        )
        lenses.append(f"{number} {model} {SIZE / 2} {SIZE / 2}")
        camera = np.linalg.inv(pose(frame) @ np.diag([-1.0, -1.0, 1.0, 1.0]))
        x, y, z, w = 1.7 * Rotation.from_matrix(camera[:3, :3]).as_quat()
        numbers = " ".join(repr(float(value)) for value in (w, x, y, z, *camera[:3, 3]))
        images.insert(2, f"{number} {numbers} {number} {name}\n" + ("1.0 2.0 -1" if number % 2 else ""))
    (folder / "sparse/0").mkdir(parents=True)
    (folder / "sparse/0/cameras.txt").write_text("\n".join(lenses) + "\n")
    (folder / "sparse/0/images.txt").write_text("\n".join(images) + "\n")
