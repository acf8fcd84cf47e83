"""Cameras in the convention of PyTorch3D and CO3D, and the conversions from others."""

from holofusion.cameras.perspective import (
    CAMERA_KEYS,
    CONVENTION,
    Cameras,
    Orbit,
    WorldFrame,
    cameras_from_json,
    cameras_to_json,
    from_opencv,
    from_opengl,
    near_origin,
    normalise,
    rotate,
    turntable,
)

__all__ = [
    "CAMERA_KEYS",
    "CONVENTION",
    "Cameras",
    "Orbit",
    "WorldFrame",
    "cameras_from_json",
    "cameras_to_json",
    "from_opencv",
    "from_opengl",
    "near_origin",
    "normalise",
    "rotate",
    "turntable",
]
