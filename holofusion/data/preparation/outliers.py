"""Find frames whose mask or camera disagrees with the majority of their sequence."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.data.preparation.visual_hull import AGREEMENT, Unusable, grid, in_hull, nearest_point

MAJORITIES = (AGREEMENT, 0.85, 0.75)  # shares of the masks that hold a voxel of the rough hull: a quarter may be wrong
SHOWN = 0.6  # share of the photographs that must show it
VOXELS = 24  # along each side of the rough hull
CELLS = 32  # raster cells along a crop, on which hull and mask are compared
AGREES = 0.6  # a frame's overlap, as a share of the median frame's, below which it is wrong
TOO_LARGE = 3.0  # apparent size, in medians, that no view of one thing has; small ones may be views along its axis
TRUSTED = 0.5  # share of the frames that must be left

BEHIND = "the object is behind the camera"
DISTANCE = "its camera's distance is at odds with the other frames"
OVERLAP = "its mask and camera disagree with the other frames"


def find_outliers(cameras: Cameras, masks: Tensor, areas: Tensor, context: float) -> dict[int, str]:
    """Reason by index of every frame that disagrees with the others; empty for a clean sequence.

    cameras: n, of the crops.  masks: bool (n,S,S) of the crops.  areas: (n,4), see `known_area`.  context: as in
    `square_around`.  The hull is carved from the frames trusted so far and compared with all, until nothing changes.
    Raises Unusable when the frames share no point, or too few agree.
    """
    faults: dict[int, str] = {}
    for _ in range(5):
        trusted = [index for index in range(len(cameras)) if index not in faults]
        if len(trusted) < TRUSTED * len(cameras):
            raise Unusable(f"cameras and masks disagree: only {len(trusted)} of {len(cameras)} frames fit together")
        before, faults = faults, _faults(cameras, masks, areas, context, trusted)
        if faults == before:
            break
    return faults


def _faults(cameras: Cameras, masks: Tensor, areas: Tensor, context: float, trusted: list[int]) -> dict[int, str]:
    point = nearest_point(cameras[trusted])
    depth = cameras.project(point[None])[1][:, 0]
    sizes = depth / cameras.focal.amin(1)  # half the crop's side, at the object's distance
    ahead = [index for index in trusted if depth[index] > 0]
    if len(ahead) < TRUSTED * len(cameras):
        raise Unusable("cameras do not look at one common point")
    largest = TOO_LARGE * float(sizes[ahead].median())
    fit = [index for index in ahead if sizes[index] <= largest]
    reach = 1.5 * float(sizes[fit].quantile(0.9)) / (1 + context)
    overlaps = torch.zeros(len(cameras))
    for majority in MAJORITIES:  # the hull of most is the true one where masks are right, the looser where some are not
        hull, side = rough_hull(cameras[fit], masks[fit], areas[fit], point, reach, majority)
        shares = _overlaps(cameras, masks, areas, hull, (side / sizes).clamp(0, 2))
        if shares[fit].median() > overlaps[fit].median():
            overlaps = shares
        if (overlaps[fit] >= AGREES).all():
            break
    typical = overlaps[fit].median()
    if typical == 0:
        raise Unusable("cameras and masks disagree: most masks share no point")
    faults = {}
    for index in range(len(cameras)):
        if depth[index] <= 0:
            faults[index] = BEHIND
        elif sizes[index] > largest:
            faults[index] = DISTANCE
        elif overlaps[index] < AGREES * typical:
            faults[index] = OVERLAP
    return faults


def rough_hull(
    cameras: Cameras, masks: Tensor, areas: Tensor, point: Tensor, reach: float, majority: float
) -> tuple[Tensor, float]:
    """Points (P,3) in `majority` of the masks, carved within `reach` of `point`, then within their own box; voxel side."""
    low, high = point - reach, point + reach
    for _ in range(2):
        step = (high - low) / VOXELS
        points = grid(low, step, VOXELS)
        points = points[in_hull(cameras, masks, areas, points, majority, SHOWN)]
        if not len(points):
            break
        low, high = points.amin(0) - step / 2, points.amax(0) + step / 2
    return points, float(step.max())


def _overlaps(cameras: Cameras, masks: Tensor, areas: Tensor, points: Tensor, voxels: Tensor) -> Tensor:
    """Intersection over union (n,) of each mask and the hull's silhouette, on a raster of twice the crop's sides.

    voxels: (n,) side of a voxel in each picture, as a share of the crop's half side, at most 2.
    """
    border = CELLS // 2
    ticks = 2 - (torch.arange(2 * CELLS) + 0.5) * 2 / CELLS  # NDC of the cells' centres, as the axes run: downwards
    overlaps = torch.zeros(len(cameras))
    for index in range(len(cameras)):
        mask = F.adaptive_avg_pool2d(masks[index].float()[None], CELLS)[0] > 0.5
        mask = F.pad(mask, (border,) * 4)
        ndc, depth = cameras[index].project(points)
        cell = ((2 - ndc[0][depth[0] > 0]) * CELLS / 2).floor().long()
        column, row = cell[((cell >= 0) & (cell < 2 * CELLS)).all(1)].unbind(1)
        silhouette = torch.zeros(2 * CELLS, 2 * CELLS)
        silhouette[row, column] = 1
        grow = math.ceil(float(voxels[index]) * CELLS / 4)
        silhouette = F.max_pool2d(silhouette[None], 2 * grow + 1, stride=1, padding=grow)[0] > 0
        low_x, high_x, low_y, high_y = areas[index].tolist()
        known = ((ticks > low_y) & (ticks < high_y))[:, None] & ((ticks > low_x) & (ticks < high_x))[None]
        silhouette &= known
        overlaps[index] = float((silhouette & mask).sum()) / max(float((silhouette | mask).sum()), 1)
    return overlaps
