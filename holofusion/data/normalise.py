"""One sequence of photographs made ready: its crops, and its world moved and scaled into the voxel cube."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from holofusion.cameras import Cameras, normalise
from holofusion.data.co3d import Frame, read_frame
from holofusion.data.crop import crop_camera, crop_square, foreground, known_area, square_around
from holofusion.data.selection import MIN_FRAMES

GRID = 32  # voxels along each side of the visual hull
AGREEMENT = 0.95  # share of the masks that must contain a hull voxel: estimated masks have holes
COVERAGE = 0.8  # share of the photographs that must tell about a hull voxel: beyond their borders nothing is known
MISSED = 0.01  # share of object pixels whose ray may pass by the cube: stems, and specks in the masks
PARALLEL = 1e-3  # smallest spread of the viewing rays, about two degrees, from which a centre can be told


class Unusable(Exception):
    """A sequence that is intact but of no use; the message is the reason."""


@dataclass(frozen=True)
class Sequence3D:
    """images: uint8 (n,S,S,3).  masks: uint8 (n,S,S).  cameras: n cameras, object inside [-1,1]^3.

    center (3,), scale: the normalisation applied, in the units of the raw world.  empty: frames left out for an
    empty mask.
    """

    images: np.ndarray
    masks: np.ndarray
    cameras: Cameras
    center: list[float]
    scale: float
    empty: int


def make_sequence(
    frames: Sequence[Frame], cameras: Cameras, size: int, threshold: float, context: float, margin: float
) -> Sequence3D:
    """Crop and normalise the frames of one sequence.

    cameras: NDC isotropic, of the uncropped images.  size: side S of the crops in pixels.  threshold: mask value in
    [0,1] above which a pixel is object.  context: rim of the crop, as a fraction of the mask box.
    margin: rim of the cube left free, as a fraction of its half side.
    Raises Unusable with the reason when masks and cameras do not determine where the object is, UserError when a file
    is broken.
    """
    images, masks, focal, principal, areas, kept = [], [], [], [], [], []
    for index, frame in enumerate(frames):
        image, mask = read_frame(frame)
        inside = foreground(mask, threshold)
        if inside is None:
            continue
        square = square_around(inside, context)
        crop, crop_mask = crop_square(image, inside, square, size)
        camera = crop_camera(cameras.focal[index], cameras.principal[index], image.size, square)
        images.append(crop)
        masks.append(crop_mask)
        focal.append(camera[0])
        principal.append(camera[1])
        areas.append(known_area(inside, square))
        kept.append(index)
    if len(kept) < MIN_FRAMES:
        raise Unusable(f"{len(kept)} of {len(frames)} masks are not empty, {MIN_FRAMES} are needed")
    cropped = Cameras(cameras.R[kept], cameras.T[kept], torch.stack(focal), torch.stack(principal))
    stack = np.stack(masks)
    silhouettes = torch.from_numpy(stack >= 128)
    low, high = bounding_box(cropped, silhouettes, torch.tensor(areas), context)
    center, scale = (low + high) / 2, float((high - low).max()) / 2 / (1 - margin)
    scale *= enlargement(normalise(cropped, center, scale), silhouettes)
    cameras = normalise(cropped, center, scale)
    return Sequence3D(np.stack(images), stack, cameras, center.tolist(), scale, len(frames) - len(kept))


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
        points = _grid(low, step)
        occupied = points[in_hull(cameras, silhouettes, areas, points)]
        if not len(occupied):
            raise Unusable(f"cameras and masks disagree: no point lies inside {AGREEMENT:.0%} of the masks")
        low, high = occupied.amin(0) - step / 2, occupied.amax(0) + step / 2
    return low, high


def nearest_point(cameras: Cameras) -> Tensor:
    """The point (3,) nearest to the rays through the crops' centres, by least absolute distances.

    Least squares, reweighted ten times, so that a few wrong masks do not drag it along.
    """
    middle = torch.cat([-cameras.principal / cameras.focal, torch.ones(len(cameras), 1)], dim=1)
    directions = torch.nn.functional.normalize((middle[:, None] @ cameras.R.transpose(1, 2))[:, 0], dim=1).double()
    centers = cameras.centers().double()
    across = torch.eye(3, dtype=torch.float64) - directions[:, :, None] * directions[:, None, :]
    if torch.linalg.eigvalsh(across.mean(0))[0] < PARALLEL:
        raise Unusable("cameras all look the same way: depth cannot be told")
    weights = torch.ones(len(cameras), 1, 1, dtype=torch.float64)
    for _ in range(10):
        weighted = weights * across
        point = torch.linalg.solve(weighted.sum(0), (weighted @ centers[:, :, None]).sum(0)[:, 0])
        distance = (across @ (point - centers)[:, :, None]).norm(dim=1, keepdim=True)
        weights = 1 / distance.clamp_min(0.1 * float(distance.median()) + 1e-9)
    return point.float()


def in_hull(cameras: Cameras, masks: Tensor, areas: Tensor, points: Tensor) -> Tensor:
    """Which of the points (P,3) lie in AGREEMENT of the masks, of those photographs that show them. Bool (P,)."""
    size = masks.shape[-1]
    inside, seen = torch.zeros(len(points)), torch.zeros(len(points))
    for index in range(len(cameras)):
        ndc = cameras[index].project(points)[0][0]
        low_x, high_x, low_y, high_y = areas[index].tolist()
        x, y = ndc.unbind(-1)
        seen += (x > low_x) & (x < high_x) & (y > low_y) & (y < high_y)
        pixel = ((1 - ndc) * size / 2).floor().long()
        within = ((pixel >= 0) & (pixel < size)).all(-1)
        column, row = pixel.clamp(0, size - 1).unbind(-1)
        inside += within & masks[index, row, column]
    return (inside >= AGREEMENT * seen) & (seen >= COVERAGE * len(cameras))


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


def _grid(low: Tensor, step: Tensor) -> Tensor:
    steps = torch.arange(GRID) + 0.5
    return low + torch.cartesian_prod(steps, steps, steps) * step
