"""Prepare one sequence: crop its photographs, and move and scale its world into the voxel cube."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from holofusion.cameras import Cameras, near_origin, normalise, rotate
from holofusion.data.co3d.reader import Frame, read_frame
from holofusion.data.images import BadMask
from holofusion.data.masks import (
    ALL_COVERING,
    EMPTY,
    INVERTED,
    LARGEST_SHARE,
    capture_fault,
    looks_inverted,
    touches_all_borders,
)
from holofusion.data.preparation.crop import crop_camera, crop_square, foreground, known_area, square_around
from holofusion.data.preparation.outliers import find_outliers
from holofusion.data.preparation.pose_check import pose_fault
from holofusion.data.preparation.selection import SMALL, tally
from holofusion.data.preparation.silhouettes import Outline
from holofusion.data.preparation.up_axis import turn_upright
from holofusion.data.preparation.visual_hull import AGREEMENT, Unusable, grid, in_hull, nearest_point
from holofusion.utils.files import UserError

GRID = 32  # voxels along each side of the visual hull
MISSED = 0.01  # share of object pixels whose ray may pass by the cube: stems, and specks in the masks


@dataclass(frozen=True)
class Sequence3D:
    """images: uint8 (n,S,S,3).  masks: uint8 (n,S,S).  cameras: n cameras, object inside [-1,1]^3.

    center (3,), scale, rotation: the normalisation applied, `X -> (X - center) rotation / scale`; center and scale in
    the units of the raw world; rotation (3,3) is None where the world was upright.  faults: reason by frame number of
    every frame left out.  remark: what else is to be said of the sequence.
    """

    images: np.ndarray
    masks: np.ndarray
    cameras: Cameras
    center: list[float]
    scale: float
    rotation: list[list[float]] | None
    faults: dict[int, str]
    remark: str | None = None


class CropSettings(Protocol):
    """What is read of the `dataset` section of params.yaml."""

    @property
    def image_size(self) -> int: ...  # side S of the crops, px

    @property
    def mask_threshold(self) -> float: ...  # mask value in [0,1] above which a pixel is object

    @property
    def context(self) -> float: ...  # rim of the crop, as a fraction of the mask box

    @property
    def margin(self) -> float: ...  # rim of the cube left free, as a fraction of its half side

    @property
    def min_frames(self) -> int: ...  # fewer make a sequence unusable

    @property
    def min_mask_mass(self) -> float: ...  # fewest object pixels of a mask


def make_sequence(frames: Sequence[Frame], cameras: Cameras, settings: CropSettings) -> Sequence3D:
    """Crop the frames of one sequence, leave out wrong ones, and normalise its world.

    cameras: float64, NDC isotropic, of the uncropped images.
    Raises Unusable with the reason when masks and cameras do not determine where the object is, UserError when a file
    is broken.
    """
    try:
        cameras, world = near_origin(cameras)
    except UserError as error:
        raise Unusable(str(error)) from None
    crops, faults = _crop(frames, cameras, settings)
    _require(crops.numbers, faults, settings)
    misfit = pose_fault(cameras, crops.outlines, crops.places)
    if misfit and misfit.likely:
        raise Unusable(misfit.told(()))
    wrong = find_outliers(crops.cameras, torch.from_numpy(crops.masks >= 128), crops.areas, settings.context)
    faults |= {crops.numbers[index]: reason for index, reason in wrong.items()}
    crops = crops.without(wrong)
    _require(crops.numbers, faults, settings)
    turn = turn_upright(crops.cameras)
    upright = crops.cameras if turn is None else rotate(crops.cameras, turn)
    silhouettes = torch.from_numpy(crops.masks >= 128)
    low, high = bounding_box(upright, silhouettes, crops.areas, settings.context)
    center, scale = (low + high) / 2, float((high - low).max()) / 2 / (1 - settings.margin)
    scale *= enlargement(normalise(upright, center, scale), silhouettes)
    placed = normalise(upright, center, scale)
    if turn is not None:
        center = turn @ center
    rotation = None if turn is None else turn.tolist()
    middle, size = world.outer(center.tolist(), scale)
    remark = misfit.told([frame.number for frame in frames]) if misfit and not wrong else None
    return Sequence3D(crops.images, crops.masks, placed, middle, size, rotation, faults, remark)


@dataclass(frozen=True)
class _Crops:
    numbers: list[int]  # of the frames
    places: list[int]  # of the frames among all that were given
    outlines: list[Outline]
    images: np.ndarray
    masks: np.ndarray
    cameras: Cameras
    areas: Tensor

    def without(self, wrong: Collection[int]) -> _Crops:
        kept = [index for index in range(len(self.numbers)) if index not in wrong]
        numbers, places = [self.numbers[index] for index in kept], [self.places[index] for index in kept]
        outlines = [self.outlines[index] for index in kept]
        return _Crops(
            numbers, places, outlines, self.images[kept], self.masks[kept], self.cameras[kept], self.areas[kept]
        )


def _crop(frames: Sequence[Frame], cameras: Cameras, settings: CropSettings) -> tuple[_Crops, dict[int, str]]:
    """The crops of all frames whose mask is large enough, and the reason by number of every other frame."""
    images, masks, focal, principal, areas, touching, outlines = [], [], [], [], [], [], []
    kept: list[int] = []
    inverted: list[int] = []
    faults = {}
    for index, frame in enumerate(frames):
        try:
            image, mask = read_frame(frame)
        except BadMask as error:
            faults[frame.number] = str(error).partition(": ")[2]
            continue
        inside = foreground(mask, settings.mask_threshold)
        if inside is None or inside.sum() < settings.min_mask_mass:
            faults[frame.number] = EMPTY if inside is None else SMALL
            continue
        if inside.mean() > LARGEST_SHARE:
            faults[frame.number] = ALL_COVERING
            continue
        touching.append(touches_all_borders(inside))
        if looks_inverted(inside):
            inverted.append(len(kept))
        outlines.append(Outline.of(inside))
        square = square_around(inside, settings.context)
        crop, crop_mask = crop_square(image, inside, square, settings.image_size)
        camera = crop_camera(cameras.focal[index], cameras.principal[index], image.size, square)
        images.append(crop)
        masks.append(crop_mask)
        focal.append(camera[0])
        principal.append(camera[1])
        areas.append(known_area(inside, square))
        kept.append(index)
    if not kept:
        raise Unusable(f"0 of {len(frames)} frames are usable, {settings.min_frames} are needed; {tally(faults)}")
    if fault := capture_fault(touching):
        raise Unusable(fault)
    cropped = Cameras(cameras.R[kept], cameras.T[kept], torch.stack(focal), torch.stack(principal))
    numbers = [frames[index].number for index in kept]
    crops = _Crops(numbers, kept, outlines, np.stack(images), np.stack(masks), cropped, torch.tensor(areas))
    faults |= {numbers[index]: INVERTED for index in inverted}
    return crops.without(inverted), faults


def _require(numbers: list[int], faults: dict[int, str], settings: CropSettings) -> None:
    if len(numbers) < settings.min_frames:
        count = len(numbers) + len(faults)
        raise Unusable(
            f"{len(numbers)} of {count} frames are usable, {settings.min_frames} are needed; {tally(faults)}"
        )


def bounding_box(cameras: Cameras, masks: Tensor, areas: Tensor, context: float) -> tuple[Tensor, Tensor]:
    """Corners (3,), (3,) of the object's box in the world, from a visual hull carved twice, coarse then tight.

    masks: bool (n,S,S) of the crops.  areas: (n,4), see `known_area`.  context: as in `square_around`.
    Raises Unusable when the masks share no point.
    """
    center = nearest_point(cameras)
    depth = cameras.project(center[None])[1][:, 0]
    if (depth <= 0).any():
        raise Unusable("cameras do not look at one common point")
    # The longer side of the mask box spans 1 / (1 + context) of the crop's half side.
    reach = float((depth / cameras.focal.amin(1)).quantile(0.9)) / (1 + context)
    low, high = center - 1.5 * reach, center + 1.5 * reach
    # A thin part may lie between the first grid's points: let masks grow by half a voxel there.
    grow = math.ceil(1.5 / GRID * masks.shape[-1] / 2)
    grown = torch.nn.functional.max_pool2d(masks[:, None].float(), 2 * grow + 1, stride=1, padding=grow)[:, 0] > 0
    for silhouettes in (grown, masks):
        step = (high - low) / GRID
        points = grid(low, step, GRID)
        occupied = points[in_hull(cameras, silhouettes, areas, points)]
        if not len(occupied):
            raise Unusable(f"cameras and masks disagree: no point lies inside {AGREEMENT:.0%} of the masks")
        low, high = occupied.amin(0) - step / 2, occupied.amax(0) + step / 2
    return low, high


def enlargement(cameras: Cameras, masks: Tensor) -> float:
    """By what factor [-1,1]^3 must grow to be hit by the rays of all object pixels but a share of MISSED.

    1 where the hull is right; more where inaccurate cameras carved too much of it away.
    Raises Unusable when 1.5 is not enough.
    """
    size = masks.shape[-1]
    rays = []
    for index in range(len(cameras)):
        pixels = masks[index].flatten().nonzero()[:, 0]
        origins, directions = cameras[index].rays(size, pixels[:: max(1, len(pixels) // 500)])
        rays.append(torch.stack([origins[0], directions[0]]))
    origins, directions = torch.cat(rays, dim=1)
    for factor in torch.arange(1.0, 1.55, 0.05).tolist():
        first, second = (-factor - origins) / directions, (factor - origins) / directions
        enter, leave = torch.minimum(first, second).amax(1), torch.maximum(first, second).amin(1)
        if (enter > leave).float().mean() <= MISSED:
            return factor
    raise Unusable("cameras and masks disagree: many object pixels look past the place where the object should be")
