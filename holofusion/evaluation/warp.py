"""The depth-warp error: points seen in one view, looked up in another by depth.

A point counts as seen by a view if the view's own depth there agrees: it is neither hidden nor off the object.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.evaluation.static_field import EXTENT

SAME_DEPTH = 0.05 * EXTENT  # world units; depths closer than this are of one surface
SOLID_ALPHA = 0.5  # opacity from which a pixel shows the object


def look_up(picture: Tensor, alpha: Tensor, depth: Tensor, camera: Cameras, points: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (P, 3), bilinear, at which one camera sees world points (P, 3), and whether it sees them (P,).

    picture (3, S, S), alpha and depth (S, S); depth is the distance along the ray, in world units.
    """
    ndc, ahead = camera.project(points)
    stack = torch.cat([picture, alpha[None], depth[None]])
    values = F.grid_sample(stack[None], -ndc[:, None], align_corners=False, padding_mode="zeros")[0, :, 0].T
    distance = (points - camera.centers()).norm(dim=1)
    seen = (ahead[0] > 0) & (values[:, 3] >= SOLID_ALPHA) & ((values[:, 4] - distance).abs() < SAME_DEPTH)
    return values[:, :3], seen


def points_of(alpha: Tensor, depth: Tensor, camera: Cameras) -> tuple[Tensor, Tensor]:
    """Flat indices (P,) of one view's pixels that show the object, and the world points (P, 3) that they show."""
    origins, directions = (part[0] for part in camera.rays(alpha.shape[-1]))
    pixels = (alpha.flatten() >= SOLID_ALPHA).nonzero().squeeze(1)
    return pixels, origins[pixels] + depth.flatten()[pixels, None] * directions[pixels]


def depth_warp(pictures: Tensor, alpha: Tensor, depth: Tensor, cameras: Cameras) -> tuple[float | None, float | None]:
    """How far the colours of each view are from those its successor (the last one's is the first) shows at the same points.

    pictures (n, 3, S, S); alpha, depth (n, S, S). Returns the mean absolute difference over all pixels that could be
    compared, averaged over the views that have any, and their share of the object's pixels; None where there are none.
    """
    errors, compared, pixels_of_object = [], 0, 0
    for view in range(len(cameras)):
        other = (view + 1) % len(cameras)
        pixels, points = points_of(alpha[view], depth[view], cameras[view])
        colours, seen = look_up(pictures[other], alpha[other], depth[other], cameras[other], points)
        own = pictures[view].flatten(1).T[pixels]
        if seen.any():
            errors.append((colours - own)[seen].abs().mean().item())
        compared, pixels_of_object = compared + int(seen.sum()), pixels_of_object + len(pixels)
    if not pixels_of_object:
        return None, None
    return (sum(errors) / len(errors) if errors else None), compared / pixels_of_object
