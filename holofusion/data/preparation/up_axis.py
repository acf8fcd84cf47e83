"""Estimate which way is up in a sequence's world: people hold cameras level."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from holofusion.cameras import Cameras

AGREEING_UP_LENGTH = 0.3  # length of the mean of the cameras' upward directions, below which they say nothing
SIDEWAYS_VARIANCE = 0.05  # of the cameras' sideways directions, about 15 degrees each way, from which they span a plane
LARGEST_TILT_RAD = math.radians(
    25
)  # a turn that covers one side more than the other tilts the estimate: up to here +y is up


def upward(cameras: Cameras) -> Tensor | None:
    """The unit vector (3,) that is up, or None if the cameras do not agree on one.

    It is the direction nearest to orthogonal to all sideways axes, or the mean of the cameras' own upward axes where
    they have turned too little for that.
    """
    mean = cameras.R[:, :, 1].double().mean(0)
    if mean.norm() < AGREEING_UP_LENGTH:
        return None
    sideways = cameras.R[:, :, 0].double()
    variances, axes = torch.linalg.eigh(sideways.T @ sideways / len(cameras))
    if variances[1] < SIDEWAYS_VARIANCE or abs(float(axes[:, 0] @ mean)) < AGREEING_UP_LENGTH:
        return mean / mean.norm()
    return axes[:, 0] * torch.sign(axes[:, 0] @ mean)


def turn_upright(cameras: Cameras) -> Tensor | None:
    """The smallest rotation (3,3), `X -> X turn`, that brings the upward direction to +y.

    None where +y is up already, within LARGEST_TILT_RAD, or up is unknown.
    """
    up = upward(cameras)
    if up is None or up[1] > math.cos(LARGEST_TILT_RAD):
        return None
    target = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    # Two reflections make a rotation: first across the bisector's plane, then across that of +y.
    middle = up + target
    if middle.norm() < 1e-6:  # upside down: half a turn about +x
        return torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    middle = middle / middle.norm()
    identity = torch.eye(3, dtype=torch.float64)
    return ((identity - 2 * torch.outer(middle, middle)) @ (identity - 2 * torch.outer(target, target))).float()
