"""Statistics of how the cameras of a sequence move around the object."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.data.preparation.visual_hull import nearest_point


@dataclass(frozen=True)
class Turn:
    """distance: of each camera from the point they look at, world units (n,).  elevation: degrees above the plane of
    the turn (n,).  covered: degrees of the turn, all but the widest gap between neighbouring cameras.
    """

    distance: Tensor
    elevation: Tensor
    covered: float


def turn_of(cameras: Cameras) -> Turn:
    """The turn of one sequence's cameras, of uncropped images.

    Its axis is the direction in which the camera centres differ least, the end on which the cameras' upper borders
    are. Raises Unusable when the cameras look at no common point.
    """
    away = cameras.centers() - nearest_point(cameras)
    axis = torch.linalg.svd((away - away.mean(0)).double())[2][2].float()
    axis = axis * torch.sign(axis @ cameras.R[:, :, 1].mean(0))
    distance = away.norm(dim=1)
    elevation = torch.rad2deg(torch.asin((away @ axis / distance).clamp(-1, 1)))
    first = torch.linalg.cross(axis, torch.eye(3)[int(axis.abs().argmin())])
    second = torch.linalg.cross(axis, first)
    azimuth = torch.rad2deg(torch.atan2(away @ second, away @ first)).sort().values
    gaps = torch.diff(azimuth, append=azimuth[:1] + 360)
    return Turn(distance, elevation, 360 - float(gaps.max()))
