"""Cameras that do not fit their masks: the mistake is undone on trial and named. Truth: three balls on a ball, ray traced."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from holofusion.cameras import Cameras
from holofusion.data.preparation.pose_check import pose_fault
from holofusion.data.preparation.silhouettes import Outline

BALLS = (((0, 0, 0), 0.45), ((0.6, 0, 0), 0.25), ((0, 0.6, 0), 0.2), ((0, 0, 0.5), 0.3))
COUNT, SIZE, FOCAL = 12, 64, 2.4


def poses() -> np.ndarray:
    """World-to-camera matrices (n,4,4) in CO3D's axes, column vectors."""
    matrices = np.tile(np.eye(4), (COUNT, 1, 1))
    for index in range(COUNT):
        azimuth, elevation = 2 * np.pi * index / COUNT, 0.35 + 0.25 * np.sin(2 * index)
        way = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
        left = np.cross([0.0, 1.0, 0.0], -way)
        left /= np.linalg.norm(left)
        rotation = np.stack([left, np.cross(-way, left), -way])
        position = (3 + 0.3 * np.cos(index)) * way
        matrices[index, :3, :3], matrices[index, :3, 3] = rotation, -rotation @ position
    return matrices


def silhouette(pose: np.ndarray) -> np.ndarray:
    """Bool (S,S): pixels whose ray meets a ball."""
    v, u = np.mgrid[:SIZE, :SIZE] + 0.5
    rays = np.stack([(1 - 2 * u / SIZE) / FOCAL, (1 - 2 * v / SIZE) / FOCAL, np.ones_like(u)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    hit = np.zeros((SIZE, SIZE), bool)
    for center, radius in BALLS:
        middle = pose[:3, :3] @ np.array(center, float) + pose[:3, 3]
        hit |= np.linalg.norm(np.cross(rays, middle), axis=-1) < radius
    return hit


def cameras_of(matrices: np.ndarray) -> Cameras:
    R = torch.from_numpy(matrices[:, :3, :3].transpose(0, 2, 1).copy()).float()
    T = torch.from_numpy(matrices[:, :3, 3].copy()).float()
    return Cameras(R, T, torch.full((len(R), 2), FOCAL), torch.zeros(len(R), 2))


MASKS = [silhouette(pose) for pose in poses()]
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


def fault_of(matrices: np.ndarray, masks: list[np.ndarray] = MASKS) -> tuple[str, ...] | None:
    fault = pose_fault(cameras_of(matrices), [Outline.of(mask) for mask in masks], range(COUNT))
    return None if fault is None else fault.likely


def test_true_cameras_fit() -> None:
    assert fault_of(poses()) is None


def test_true_cameras_of_few_frames_among_many_fit() -> None:
    chosen = [0, 2, 3, 5, 8, 11]
    assert pose_fault(cameras_of(poses()), [Outline.of(MASKS[index]) for index in chosen], chosen) is None


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda m: MIRROR @ m @ MIRROR, "mirrored"),
        (lambda m: np.linalg.inv(m), "inverse"),
        (lambda m: np.diag([1.0, -1.0, -1.0, 1.0]) @ m, "camera axes"),
        (lambda m: np.eye(4)[[1, 2, 0, 3]] @ m, "camera axes are swapped"),
        (lambda m: m[::-1], "reverse order"),
        (lambda m: np.roll(m, 1, axis=0), "neighbouring"),
        (lambda m: np.roll(m, -3, axis=0), "frames 3 before or after"),
        (lambda m: m[sorted(range(COUNT), key=lambda index: str(index + 1))], "sorted by name"),
    ],
    ids=["mirrored", "inverse", "opengl", "swapped", "reversed", "shifted", "by three", "by name"],
)
def test_the_mistake_is_named(spoil: Callable[[np.ndarray], np.ndarray], word: str) -> None:
    likely = fault_of(spoil(poses()).copy())
    assert likely and word in "; ".join(likely)


def test_mirrored_photographs_are_named() -> None:
    likely = fault_of(poses(), [mask[:, ::-1] for mask in MASKS])
    assert likely and "mirrored" in likely[0]


def test_photographs_of_something_else_fit_badly() -> None:
    others = [np.roll(mask, (7 * index % 13 - 6, 5 * index % 17 - 8), (0, 1)) for index, mask in enumerate(MASKS)]
    fault = pose_fault(cameras_of(poses()), [Outline.of(mask) for mask in others], range(COUNT))
    assert fault is not None and not fault.likely and "no usual mistake" in fault.told([])
