"""Make grids canonical: keep the surface, and give all objects the same values inside and outside.

Grids fitted one by one differ in what no photograph sees: density inside, colours inside and in empty space, specks. A
generator has to model all that, and blends it into mottled fog. A canonical grid is a signed distance to the surface, cut at
a few voxels, with the surface's colours carried everywhere.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from holofusion.rendering.plain import DENSITY_SCALE

SOLID = 8.0  # density per world unit above which a voxel is object
BAND = 2.0  # voxels: signed distances are cut there
STEEPNESS = 4.0  # density before the softplus falls by so much per voxel outwards
CLOSING = 2  # half voxels: gaps twice as wide are closed
COLOUR_MARGIN = 0.02  # colours stay that far from 0 and 1
SEEN, SPREAD = 0.3, 0.7  # voxels inside the surface where colours are seen best, and the deviation around it
WIDTHS = (12.0, 6.0, 3.0, 1.5, 0.75)  # voxels: deviations of the blurs that carry colours outwards


def canonical(grid: Tensor) -> Tensor:
    """The plain grid (4, n, n, n) with the same surface, made canonical."""
    distance = signed_distance(grid[0])
    opaque = 1 - torch.exp(-F.softplus(grid[0]))
    weight = opaque * torch.exp(-0.5 * ((distance + SEEN) / SPREAD) ** 2)
    colours = spread_colours(torch.sigmoid(grid[1:]), weight).clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN)
    return torch.cat([-STEEPNESS * distance[None], torch.logit(colours)])


def signed_distance(raw: Tensor) -> Tensor:
    """Signed distance (n, n, n) in voxels to the surface of the largest solid piece; negative inside, cut at +-BAND.

    raw (n, n, n): density before the softplus. Holes inside and narrow gaps are filled. Where nothing is solid, all is
    outside.
    """
    fine = F.interpolate(raw[None, None], scale_factor=2, mode="trilinear", align_corners=False)[0, 0]
    solid = (DENSITY_SCALE * F.softplus(fine) > SOLID).cpu().numpy()
    labels, count = ndimage.label(solid)
    if count > 1:
        solid = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    solid = ndimage.binary_fill_holes(ndimage.binary_closing(solid, iterations=CLOSING)) | solid
    most = 2 * BAND + 2
    # of no solid voxel at all scipy gives no distance
    outside = np.minimum(ndimage.distance_transform_edt(~solid), most) if solid.any() else np.full(solid.shape, most)
    inside = np.minimum(ndimage.distance_transform_edt(solid), most)
    # the surface lies half a fine voxel from the centres on either side
    signed = outside - inside - 0.5 * np.sign(outside - inside)
    smooth = torch.from_numpy(ndimage.gaussian_filter(signed.astype(np.float32), 1.0)).to(raw.device)
    return F.avg_pool3d(smooth[None] / 2, 2)[0].clamp(-BAND, BAND)


def spread_colours(colours: Tensor, weight: Tensor) -> Tensor:
    """Colours (3, n, n, n) carried from where weight (n, n, n) is into all of space, by normalised blurs, wide to narrow."""
    filled = None
    for width in WIDTHS:
        share = blur(weight[None], width)
        mean = blur(colours * weight, width) / share.clamp_min(1e-6)
        trust = share / (share + 0.02)
        filled = mean if filled is None else trust * mean + (1 - trust) * filled
    assert filled is not None
    trust = weight / (weight + 0.1)
    return trust * colours + (1 - trust) * filled


def blur(volume: Tensor, width: float) -> Tensor:
    """Gaussian blur, of deviation `width` voxels, of (C, n, n, n); what lies beyond the cube is 0."""
    reach = min(int(3 * width) + 1, volume.shape[-1] - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=volume.device) / width) ** 2)
    blurred, kernel = volume[:, None], kernel / kernel.sum()
    for axis in range(3):
        shape, padding = [1] * 5, [0] * 3
        shape[2 + axis], padding[axis] = -1, reach
        blurred = F.conv3d(blurred, kernel.reshape(shape), padding=padding)
    return blurred[:, 0]
