"""Single frames whose camera is wrong are named; none where all are right, or a little off. Truth: balls, ray traced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.spatial.transform import Rotation

from holofusion.data.preparation.pose_check import PoseFault, pose_fault
from holofusion.data.preparation.silhouettes import Outline
from tests.data.preparation.test_pose_check import COUNT, MASKS, cameras_of, poses

OUTLINES = [Outline.of(mask) for mask in MASKS]


def turned(matrices: np.ndarray, degrees: float, seed: int) -> np.ndarray:
    """World-to-camera matrices (n,4,4), each camera turned about its own place, and any axis, by so much."""
    axes = np.random.default_rng(seed).normal(size=(len(matrices), 3))
    turns = np.tile(np.eye(4), (len(matrices), 1, 1))
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    turns[:, :3, :3] = Rotation.from_rotvec(np.radians(degrees) * axes / lengths).as_matrix()
    return turns @ matrices


def fault_of(matrices: np.ndarray, outlines: list[Outline] = OUTLINES) -> PoseFault | None:
    return pose_fault(cameras_of(matrices), outlines, range(COUNT))


@pytest.mark.parametrize(("wrong", "degrees"), [((1,), 30), ((0, 4, 7), 20), ((2, 3, 10), 10)])
def test_frames_that_look_elsewhere_are_named(wrong: tuple[int, ...], degrees: int) -> None:
    matrices = poses()
    matrices[list(wrong)] = turned(matrices, degrees, sum(wrong))[list(wrong)]
    fault = fault_of(matrices)
    assert fault is not None and fault.frames == wrong and not fault.likely and fault.best > fault.given
    names = [f"frame{index}.jpg" for index in range(COUNT)]
    assert f"frames whose camera fits the others least: {', '.join(names[index] for index in wrong)} (" in fault.told(
        names
    )


def test_two_frames_that_were_exchanged_are_named() -> None:
    matrices = poses()
    matrices[[4, 9]] = matrices[[9, 4]]
    fault = fault_of(matrices)
    assert fault is not None and fault.frames == (4, 9)


@pytest.mark.parametrize("seed", range(3))
def test_no_frame_is_named_where_all_are_a_little_off(seed: int) -> None:
    """Cameras by a third of a degree, masks by one pixel of 64 at their rim, and holes in them."""
    rng, outlines = np.random.default_rng(seed), []
    for outline in OUTLINES:
        change = (binary_dilation, binary_erosion, lambda mask: mask.copy())[rng.integers(3)]
        mask = change(outline.mask)
        row, column, side = *rng.integers(0, 64, 2), rng.integers(0, 6)
        mask[row : row + side, column : column + side] = False
        outlines.append(replace(outline, mask=mask))
    fault = fault_of(turned(poses(), 0.3, seed), outlines)
    assert fault is None or not fault.frames


def test_of_few_frames_none_is_named() -> None:
    matrices = poses()
    matrices[2] = turned(matrices, 30, 0)[2]
    fault = pose_fault(cameras_of(matrices), OUTLINES[:5], range(5))
    assert fault is None or not fault.frames
