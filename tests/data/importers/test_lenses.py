"""Every way to state a lens: refused by name where it is no pinhole, and the frame's own before the file's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from holofusion.data.importers.lenses import lens_of, pixels_of, refuse_distortion
from holofusion.utils.files import UserError

FILE = Path("transforms.json")


@pytest.mark.parametrize(
    "values",
    [
        {"k1": 1e-6},
        {"k4": 0.1},
        {"p2": -0.01},
        {"k1": "0.2"},
        {"distortion_params": [0, 0, 0, 0, 0, 1e-6]},
        {"distortion_coefficients": {"rows": 1, "cols": 5, "data": [0, 0, 0.1, 0, 0]}},
        {"distCoeffs": [[0.1, 0, 0, 0, 0]]},
        {"dist_coeffs": [0.1]},
        {"D": [0.1, 0, 0, 0]},
        {"radial_distortion": [0.1]},
        {"ftheta_p1": 1.0},
        {"is_fisheye": True},
        {"latlong": 1},
        {"equirectangular": True},
        {"lens_mode": "equirectangular"},
        {"camera_model": "OPENCV_FISHEYE"},
        {"camera_model": "EQUIRECTANGULAR"},
        {"camera_model": "THIN_PRISM_FISHEYE"},
        {"lens": {"mode": "OpenCVFisheye", "params": [0, 0, 0, 0]}},
        {"lens": {"mode": "OpenCV", "params": [0.1, 0, 0, 0]}},
        {"skew": 0.5},
        {"equirect": True},
        {"is_panoramic": True},
        {"fisheye_params": [0.1]},
        {"kappa2": 0.1},
        {"cam_model": "fisheye"},
        {"camera_type": "FISHEYE"},
        {"type": "omnidirectional"},
        {"model": "OPENCV_FISHEYE"},
        {"intrinsics": {"k1": 0.2}},
        {"camera": {"model": "OPENCV", "params": {"p1": 0.1}}},
    ],
)
def test_what_is_no_pinhole_is_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"a.png: {next(iter(values))}.*undistort"):
        refuse_distortion(FILE, "a.png", {"fl_x": 3.0} | values)


@pytest.mark.parametrize(
    "values",
    [
        {"k1": 0, "k2": 0.0, "p1": 0, "distortion_params": [0, 0, 0, 0]},
        {"distortion_coefficients": {"rows": 1, "cols": 5, "data": [0, 0, 0, 0, 0]}},
        {"camera_model": "SIMPLE_RADIAL", "k1": 0},
        {"is_fisheye": False, "aabb_scale": 16, "scale": 0.3, "applied_transform": [[1]]},
        {"lens": {"mode": "Perspective", "params": []}},
        {"type": "synthetic", "model": "mug", "camera": {"model": "PINHOLE", "k1": 0.0}},
        {"fisheye": "0", "camera": "canon", "orientation_override": "up"},
    ],
)
def test_pinholes_pass(values: dict[str, Any]) -> None:
    refuse_distortion(FILE, "a.png", values)


@pytest.mark.parametrize(
    ("whole", "frame", "expected"),
    [
        ({"fl_x": 50.0}, {}, (50, 50)),
        ({"fl_x": 50.0, "fl_y": 60.0}, {}, (50, 60)),
        ({"fl_y": 60.0}, {}, (60, 60)),
        ({"fl_x": 50.0, "fl_y": 60.0}, {"fl_x": 70.0}, (70, 70)),
        ({"fl_x": 50.0}, {"camera_angle_x": math.pi / 2}, (40, 40)),
        ({"camera_angle_x": 1.0}, {"fl_x": 70.0}, (70, 70)),
        ({"x_fov": 90.0}, {}, (40, 40)),
        ({"camera_angle_x": math.pi / 2, "camera_angle_y": math.pi / 2}, {}, (40, 30)),
    ],
)
def test_focal_length_in_every_form(
    whole: dict[str, Any], frame: dict[str, Any], expected: tuple[float, float]
) -> None:
    pixels = pixels_of(FILE, "a.png", lens_of(whole, frame), (80, 60))
    assert pixels == pytest.approx([*expected, 40, 30, 80, 60])


def test_a_frames_lens_replaces_the_files() -> None:
    whole = {"k1": 0.2, "distortion_params": [0.1], "w": 80, "h": 60, "cx": 41, "cy": 29, "camera_model": "OPENCV"}
    refuse_distortion(FILE, "a.png", lens_of(whole, {"k1": 0}))
    assert lens_of(whole, {"w": 40, "h": 30}).keys().isdisjoint({"cx", "cy"})
    with pytest.raises(UserError, match="k2 is 0.1"):
        refuse_distortion(FILE, "a.png", lens_of({"k2": 0.0}, {"k2": 0.1}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"camera_angle_x": 48.0}, "camera_angle_x is 48.0, an angle of view in radians.*degrees, as it seems"),
        ({"camera_angle_x": 3.0}, "camera_angle_x is 3.0, an angle of view in radians.*degrees, as it seems"),
        ({"camera_angle_x": -1.0}, "camera_angle_x is -1.0"),
        ({"x_fov": 200.0}, "x_fov is 200.0, an angle of view in degrees"),
        ({"fl_x": float("nan")}, "fl_x is nan"),
        ({"fl_x": 5.0, "cx": 5000.0}, "cx is 5000.0, in pixels of an image that has 80"),
        ({}, "the focal length"),
    ],
)
def test_numbers_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pixels_of(FILE, "a.png", values, (80, 60))
