"""Unproject pictures onto points of a surface: what each point shows in the views that see it best."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras

FAINT = 0.1  # opacity below which a pixel shows nothing


@dataclass(frozen=True)
class Observations:
    """What M views show of each of R points, K pictures of each view.

    seen (R, M) bool: whether the view shows the point; what follows is 0 where it does not. values (R, M, K, 3): of the
    pictures, half precision. gap (R, M): world units from the surface that the view shows there back to the point; negative in
    front of it. cosine (R, M): of the angle between the point's normal and the direction to the camera.
    """

    seen: Tensor
    values: Tensor
    gap: Tensor
    cosine: Tensor

    def __getitem__(self, which: Tensor) -> Observations:
        """Those of a part of the points."""
        return Observations(self.seen[which], self.values[which], self.gap[which], self.cosine[which])


@dataclass(frozen=True)
class Depths:
    """What V cameras see of a coarse scene: alpha and depth (V, 1, S, S), the expected distance along a pixel's ray."""

    cameras: Cameras
    alpha: Tensor
    depth: Tensor


def in_picture(camera: Cameras, points: Tensor) -> Tensor:
    """Where one camera sees points (R, 3), as `grid_sample` counts: (R, 2) in [-1, 1] from the left and upper border.

    Points behind the camera land outside.
    """
    ndc, depth = camera.project(points)
    return torch.where(depth[0, :, None] > 0, -ndc[0], torch.full_like(ndc[0], 2.0))


def look_up(pictures: Tensor, places: Tensor) -> Tensor:
    """Bilinear lookup of pictures (C, S, S) at places (R, 2) as `in_picture` gives them -> (R, C); 0 outside."""
    return F.grid_sample(pictures[None], places[None, None], align_corners=False)[0, :, 0].T


@torch.no_grad()
def unproject(
    points: Tensor, normals: Tensor, pictures: Tensor, coarse: Depths, most: int, reach: float
) -> Observations:
    """What points (R, 3) with unit normals (R, 3) show in the `most` of V views that see them best.

    pictures (V, K, 3, S, S): K of each view. A view shows a point that lies at most `reach`, in world units, in front of or
    behind the surface that the coarse scene has in that pixel; best is the one whose camera is nearest to the normal.
    """
    count = min(most, len(pictures))
    gaps, cosines, shown = [], [], []
    for view, centre in enumerate(coarse.cameras.centers()):
        alpha = coarse.alpha[view]
        # weighted by opacity, or outlines would lie halfway to the background
        places = in_picture(coarse.cameras[view], points)
        opacity, distance = look_up(torch.cat([alpha, alpha * coarse.depth[view]]), places).unbind(1)
        towards = centre - points
        gaps.append(towards.norm(dim=1) - distance / opacity.clamp_min(1e-6))
        cosines.append((F.normalize(towards, dim=1) * normals).sum(1))
        shown.append((opacity > FAINT) & (gaps[-1].abs() < reach))
    gap, cosine, seen = (torch.stack(parts, 1) for parts in (gaps, cosines, shown))
    rank = torch.where(seen, cosine, torch.full_like(cosine, -2.0))
    best = rank.topk(count, dim=1).indices
    seen = seen.gather(1, best)
    values = pictures.new_zeros(*best.shape, *pictures.shape[1:3], dtype=torch.half)
    for view, images in enumerate(pictures):
        row, place = ((best == view) & seen).nonzero(as_tuple=True)
        found = look_up(images.flatten(0, 1), in_picture(coarse.cameras[view], points[row]))
        values[row, place] = found.unflatten(1, images.shape[:2]).half()
    gap, cosine = (
        torch.where(seen, part.gather(1, best), torch.zeros_like(seen, dtype=part.dtype)) for part in (gap, cosine)
    )
    return Observations(seen, values, gap, cosine)
