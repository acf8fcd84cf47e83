"""Usual mistakes in camera poses, and a function that undoes each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from holofusion.cameras import Cameras

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL's camera axes in OpenCV's, and back
CO3D = np.diag([-1.0, -1.0, 1.0, 1.0])  # CO3D's camera axes in OpenCV's, and back

MOST_SHIFTED = 4  # frames by which cameras may be of others

Poses = np.ndarray  # (n,4,4) world to camera, OpenCV's axes, column vectors
Undo = Callable[[Poses], Poses]


def mistakes() -> Iterator[tuple[str, Undo]]:
    """Names of mistakes and what undoes each; a name may come more than once."""
    inverse = "poses are given as their inverse (world to camera in place of camera to world, or the reverse)"
    for before, after in itertools.product((np.eye(4), OPENGL), repeat=2):
        yield inverse, partial(_inverted, before=before, after=after)
    yield "camera axes are OpenCV's in place of OpenGL's, or the reverse", partial(_turned, turn=OPENGL)
    for turn in _signed_permutations(proper=True):
        yield "camera axes are swapped", partial(_turned, turn=turn)
    for axes in (None, np.eye(3), OPENGL[:3, :3]):
        yield "rotations are transposed", partial(_transposed, axes=axes)
    yield "translations are the cameras' positions, or the reverse", _from_positions
    for turn in [*_signed_permutations(proper=True), *_signed_permutations(proper=False)]:
        yield "axes of the cameras' positions are swapped", partial(_moved, turn=turn)


def _signed_permutations(proper: bool) -> list[np.ndarray]:
    """The (4,4) matrices that exchange axes and turn their directions: rotations but the identity, or reflections."""
    matrices = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.eye(4)
            matrix[:3, :3] = np.eye(3)[list(order)] * np.array(signs)
            if (np.linalg.det(matrix) > 0) == proper and not np.array_equal(matrix, np.eye(4)):
                matrices.append(matrix)
    return matrices


def _inverted(poses: Poses, before: np.ndarray, after: np.ndarray) -> Poses:
    return before @ np.linalg.inv(poses) @ after


def _turned(poses: Poses, turn: np.ndarray) -> Poses:
    return turn @ poses


def _transposed(poses: Poses, axes: np.ndarray | None) -> Poses:
    """Rotations transposed: translations kept where `axes` is None, else positions, in camera axes turned by `axes`."""
    turned = poses.copy()
    turned[:, :3, :3] = poses[:, :3, :3].transpose(0, 2, 1)
    if axes is not None:
        positions = -(poses[:, :3, :3].transpose(0, 2, 1) @ poses[:, :3, 3:])
        turned[:, :3, :3] = axes @ turned[:, :3, :3] @ axes
        turned[:, :3, 3] = -(turned[:, :3, :3] @ positions)[..., 0]
    return turned


def _from_positions(poses: Poses) -> Poses:
    moved = poses.copy()
    moved[:, :3, 3] = -(poses[:, :3, :3] @ poses[:, :3, 3:])[..., 0]
    return moved


def _moved(poses: Poses, turn: np.ndarray) -> Poses:
    """The same directions of view from positions whose axes are exchanged by `turn`."""
    moved = poses.copy()
    positions = -(poses[:, :3, :3].transpose(0, 2, 1) @ poses[:, :3, 3:])
    moved[:, :3, 3] = -(poses[:, :3, :3] @ (turn[:3, :3] @ positions))[..., 0]
    return moved


def orders(count: int) -> Iterator[tuple[str, list[int]]]:
    """Names of wrong orders and, for each frame, the camera that would be right."""
    frames = list(range(count))
    yield "frames are in reverse order", frames[::-1]
    yield "frames are in reverse order", [-frame % count for frame in frames]
    for step in (1, -1, 2, -2):
        yield "cameras are of the neighbouring frames", [(frame + step) % count for frame in frames]
    for step in range(3, min(MOST_SHIFTED, count // 2) + 1):
        for shift in (step, -step):
            yield f"cameras are of frames {step} before or after", [(frame + shift) % count for frame in frames]
    by_name = sorted(frames, key=lambda frame: str(frame + 1))  # frame_1, frame_10, frame_11, frame_2
    by_name_from_0 = sorted(frames, key=str)
    for order in (by_name, by_name_from_0):
        yield "frames are sorted by name (1, 10, 2), cameras by number, or the reverse", order
        yield "frames are sorted by name (1, 10, 2), cameras by number, or the reverse", np.argsort(order).tolist()


def with_poses(cameras: Cameras, undo: Undo) -> Cameras:
    """The same lenses, at poses that `undo` changes."""
    poses = np.tile(np.eye(4), (len(cameras), 1, 1))
    poses[:, :3, :3] = cameras.R.double().numpy().transpose(0, 2, 1)
    poses[:, :3, 3] = cameras.T.double().numpy()
    poses = CO3D @ undo(CO3D @ poses)
    R, T = torch.from_numpy(poses[:, :3, :3].transpose(0, 2, 1).copy()), torch.from_numpy(poses[:, :3, 3].copy())
    return Cameras(R.float(), T.float(), cameras.focal, cameras.principal)
