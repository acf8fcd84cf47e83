"""Locate the object: the point that its cameras look at, and the points of space inside all its masks."""

from __future__ import annotations

import torch
from torch import Tensor

from holofusion.cameras import Cameras

AGREEMENT = 0.95  # share of the masks that must contain a hull voxel: estimated masks have holes
COVERAGE = 0.8  # share of the photographs that must tell about a hull voxel: beyond their borders nothing is known
PARALLEL = 1e-3  # smallest spread of the viewing rays, about two degrees, from which a centre can be told


class Unusable(Exception):
    """A sequence that is intact but of no use; the message is the reason."""


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


def in_hull(
    cameras: Cameras,
    masks: Tensor,
    areas: Tensor,
    points: Tensor,
    agreement: float = AGREEMENT,
    coverage: float = COVERAGE,
) -> Tensor:
    """Which of the points (P,3) lie in a share `agreement` of the masks, of those photographs that show them. Bool (P,).

    masks: bool (n,S,S) of the crops.  areas: (n,4), see `known_area`.  coverage: share of the photographs that must
    show the point.
    """
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
    return (inside >= agreement * seen) & (seen >= coverage * len(cameras))


def grid(low: Tensor, step: Tensor, count: int) -> Tensor:
    """Centres (count^3,3) of the voxels of sides `step` (3,) whose first corner is `low` (3,)."""
    steps = torch.arange(count) + 0.5
    return low + torch.cartesian_prod(steps, steps, steps) * step
