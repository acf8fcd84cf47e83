"""Refuse lenses with distortion, which is not modelled, by the name of the parameter that states it.

Names: nerfstudio's data conventions, instant-ngp's `transforms.json`, OpenCV's calibration module, COLMAP's camera models.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from holofusion.utils.files import UserError

UNDISTORT = "lens distortion is not modelled: undistort the images first (`colmap image_undistorter`)"

# Keys in small letters without `_`, as they are compared.
COEFFICIENT = re.compile(
    r"(k|kappa)[1-9]|p[1-9]|s[1-4]|b[12]|sx\d|sy\d|tau[xy]|xi|omega|lambda|skew|d|f?theta\w*|rollingshutter"
    r"|(radial|tangential)\w*|fisheye\w+"
    r"|dist|dist(ortion)?(params|parameters|coeffs?|coefficients?|coef)?"
)
KINDS = re.compile(r"(camera|cam)(model|type)|lens(mode|model|type)?|projection(type)?|distortion(model|type)")
VAGUE_KINDS = (
    "model",
    "type",
    "camera",
    "mode",
)  # of many things; they count where they name a lens that is no pinhole
NO_PINHOLE = "fisheye|equirect|panoram|spherical|latlong|ortho|omni|catadioptric|cylindric|mercator|panini|vr180"
FLAGS = re.compile(rf"(is)?({NO_PINHOLE})[a-z]*")
# Models whose coefficients are stated beside them; with all of these 0 they are pinholes.
PINHOLES = (
    "pinhole simplepinhole perspective rectilinear none opencv fullopencv simpleradial radial brown brownconrady radtan "
    "plumbbob rationalpolynomial"
).split()

WIDEST = 2.8  # radians (160 degrees): an angle of view in radians above it is one in degrees, as it seems

FOCAL_KEYS = ("fl_x", "fl_y", "x_fov", "y_fov", "camera_angle_x", "camera_angle_y")


def lens_of(whole: Mapping[str, Any], frame: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a frame's lens: its own, then those of the whole file about which the frame says nothing.

    What a frame says replaces all that the file says of the same thing, however that is spelled: focal length by angle or in
    pixels, distortion by list or by coefficient, the principal point together with the size it is for.
    """
    rest = dict(whole)
    if any(key in frame for key in FOCAL_KEYS):
        rest = {key: value for key, value in rest.items() if key not in FOCAL_KEYS}
    if any(_states_distortion(key) for key in frame):
        rest = {key: value for key, value in rest.items() if not _states_distortion(key)}
    if any(frame.get(key, whole.get(key)) != whole.get(key) for key in ("w", "h")):
        rest = {key: value for key, value in rest.items() if key not in ("cx", "cy")}
    return rest | dict(frame)


def refuse_distortion(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Raise UserError where any key of a frame's `values` says that its lens is no pinhole."""
    for key, value in values.items():
        plain = _plain(key)
        if COEFFICIENT.fullmatch(plain) and _not_zero(value):
            raise UserError(f"{path}: {name}: {key} is {value!r}; {UNDISTORT}")
        if FLAGS.fullmatch(plain) and value not in (False, 0, None, "false", "False") and _not_zero(value):
            raise UserError(f"{path}: {name}: {key} is {value!r}; {UNDISTORT}")
        if plain in VAGUE_KINDS and isinstance(value, str) and re.search(NO_PINHOLE, _plain(value)):
            raise UserError(f"{path}: {name}: {key} {value!r}: {UNDISTORT}")
        if isinstance(value, dict) and not KINDS.fullmatch(plain):
            refuse_distortion(path, f"{name}: {key}", value)
        if KINDS.fullmatch(plain):
            kind = (value.get("mode") or value.get("type")) if isinstance(value, dict) else value
            if isinstance(value, dict) and _not_zero(value.get("params")):
                raise UserError(f"{path}: {name}: {key} {kind!r} has params {value['params']}; {UNDISTORT}")
            if isinstance(kind, str) and _plain(kind) not in PINHOLES:
                raise UserError(f"{path}: {name}: {key} {kind!r}: {UNDISTORT}")


def pixels_of(path: Path, name: str, values: Mapping[str, Any], size: tuple[int, int]) -> list[float]:
    """fx, fy, cx, cy, width, height in pixels. What is left out is worked out as instant-ngp does.

    values: by nerfstudio's and instant-ngp's names.  size: (width, height) of the image file, where w and h are not given.
    Raises UserError where a number is missing, not finite or not positive, or an angle cannot be one.
    """
    lens: dict[str, Any] = {"w": size[0], "h": size[1]} | {key: values[key] for key in ("w", "h") if key in values}
    check_numbers(path, name, lens)
    for axis, side in (("x", "w"), ("y", "h")):
        focal = _focal(path, name, values, axis, lens[side])
        if focal is not None:
            lens[f"fl_{axis}"] = focal
    if "fl_x" not in lens and "fl_y" not in lens:
        raise UserError(f"{path}: {name}: fl_x or camera_angle_x (radians) is missing: the focal length")
    for key, other in (("fl_x", "fl_y"), ("fl_y", "fl_x")):
        lens.setdefault(key, lens.get(other))  # square pixels
    lens |= {"cx": values.get("cx", lens["w"] / 2), "cy": values.get("cy", lens["h"] / 2)}
    check_numbers(path, name, lens)
    return [float(lens[key]) for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")]


def check_numbers(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Raise UserError where a value is no finite number, or a size or focal length is not positive.

    values: by the names of nerfstudio, fl_x, fl_y, cx, cy, w and h.
    """
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"{path}: {name}: {key} is {value!r}, a finite number is needed")
        if key in ("fl_x", "fl_y", "w", "h") and value <= 0:
            raise UserError(f"{path}: {name}: {key} is {value}, which is not positive")
    for key, side in (("cx", "w"), ("cy", "h")):
        if key in values and side in values and not -values[side] <= values[key] <= 2 * values[side]:
            raise UserError(f"{path}: {name}: {key} is {values[key]}, in pixels of an image that has {values[side]}")


def check_rotation(path: Path, name: str, rotation: np.ndarray) -> None:
    """Raise UserError where a camera's (3,3) matrix is no rotation."""
    if not np.isfinite(rotation).all():
        raise UserError(f"{path}: {name}: its pose has a value that is not finite (NaN or infinity)")
    if (
        np.abs(rotation).max() > 1e6
        or np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3
        or np.linalg.det(rotation) < 0
    ):
        singular = np.linalg.matrix_rank(rotation) < 3
        kind = "is singular" if singular else "is not a rotation (scaled, sheared or mirrored)"
        raise UserError(f"{path}: {name}: the 3x3 part of its pose {kind}")


def _focal(path: Path, name: str, values: Mapping[str, Any], axis: str, side: float) -> float | None:
    """Focal length in pixels along an axis: fl_x, x_fov in degrees, or camera_angle_x in radians; None if not given."""
    if f"fl_{axis}" in values:
        check_numbers(path, name, {f"fl_{axis}": values[f"fl_{axis}"]})
        return float(values[f"fl_{axis}"])
    for key, unit in ((f"{axis}_fov", "degrees"), (f"camera_angle_{axis}", "radians")):
        if key not in values:
            continue
        check_numbers(path, name, {key: values[key]})
        angle = math.radians(values[key]) if unit == "degrees" else values[key]
        if not 0 < angle < (math.pi if unit == "degrees" else WIDEST):
            guess = "; in degrees, as it seems" if unit == "radians" and 0 < values[key] < 180 else ""
            raise UserError(f"{path}: {name}: {key} is {values[key]}, an angle of view in {unit} is needed{guess}")
        return side / 2 / math.tan(angle / 2)
    return None


def _states_distortion(key: str) -> bool:
    return any(pattern.fullmatch(_plain(key)) for pattern in (COEFFICIENT, FLAGS, KINDS))


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _not_zero(value: Any) -> bool:
    """Whether a coefficient, or any in a list or in an OpenCV matrix of them, is not 0."""
    if isinstance(value, dict):
        return _not_zero(value.get("data", list(value.values())))
    if isinstance(value, list | tuple):
        return any(_not_zero(part) for part in value)
    if isinstance(value, str):
        try:
            return float(value) != 0
        except ValueError:
            return True
    return value is not None and value is not False and value != 0
