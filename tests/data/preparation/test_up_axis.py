"""Which way is up, told by the cameras; and the turn that brings it to +y."""

from __future__ import annotations

import pytest
import torch

from holofusion.cameras import Cameras, rotate, turntable
from holofusion.data.preparation.up_axis import turn_upright, upward

AXES = [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (0.6, -0.8, 0.0), (-0.48, 0.6, 0.64)]


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize("part", [slice(None), slice(0, 12)])  # a full turn, and a third
@pytest.mark.parametrize("elevation", [0.0, 50.0])
def test_up_is_the_axis_of_the_turn(up: tuple[float, float, float], part: slice, elevation: float) -> None:
    found = upward(turntable(36, elevation, 4.0, 2.0, up=up)[part])
    assert found is not None and torch.allclose(found.float(), torch.tensor(up), atol=1e-4)


@pytest.mark.parametrize("up", AXES[1:])
def test_the_turned_world_is_upright_and_looks_the_same(up: tuple[float, float, float]) -> None:
    cameras = turntable(12, 20.0, 4.0, 2.0, up=up)
    turn = turn_upright(cameras)
    assert turn is not None
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6) and torch.linalg.det(turn) > 0
    moved, points = rotate(cameras, turn), torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(moved.centers()[:, 1], torch.full((12,), 4 * 0.34202), atol=1e-4)
    assert torch.allclose(cameras.project(points)[0], moved.project(points @ turn)[0], atol=1e-4)


def test_a_world_that_is_upright_is_left_alone() -> None:
    assert turn_upright(turntable(12, 40.0, 4.0, 2.0)) is None
    assert turn_upright(turntable(12, 40.0, 4.0, 2.0, up=(0.3, 0.9, 0.2))) is None


def test_cameras_that_do_not_agree_say_nothing() -> None:
    one, other = (turntable(8, 10.0, 4.0, 2.0, up=(0.0, sign, 0.0)) for sign in (1.0, -1.0))
    assert upward(Cameras.cat([one, other])) is None


def test_cameras_that_hardly_turn_tell_by_their_own_up() -> None:
    found = upward(turntable(360, 0.0, 4.0, 2.0, up=(0.0, 0.0, 1.0))[:5])
    assert found is not None and found[2] > 0.999
