"""One pass that paints a scene with its super-resolved views: the start of a distillation that then needs few steps.

While densities stand still, a pixel is linear in the voxels' colours. The colours that explain all views best, and stay
near the coarse scene's where nothing is seen, are the solution of one sparse least-squares problem.
"""

from __future__ import annotations

import torch
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.rendering.grids import (
    PlainDecoder,
    SparseField,
    SparseGrid,
    corners,
    dilate,
    occupancy_of,
    voxel_centres,
)
from holofusion.rendering.sparse_matrix import SparseMatrix
from holofusion.rendering.volume import absorption_weights, occupied_interval, stratified_depths
from holofusion.scenes.voxel import DenseScene

FAINT = 0.02  # share of a pixel below which a sample is left out
PULL = 0.02  # towards the coarse colours; a voxel seen by one whole pixel weighs 1
ITERATIONS = 6  # of conjugate gradients
DARKEST = 0.01  # colours stay that far from 0 and 1, where the sigmoid cannot reach


def painted(coarse: DenseScene, cameras: Cameras, views: Tensor, candidates: Tensor, settings) -> SparseField:
    """A field of densities and colours, in place of features, whose renders are as near to the views as colours make them.

    cameras: V of them. views (V, 3, S, S) in [0, 1]. candidates (V, S, S) bool: the pixels that count. settings: sections
    `distillation`, `volume` and `rendering`. Densities are the coarse scene's.
    """
    field = _plain_copy(coarse, settings)
    matrix, target = _system(field, cameras, views, candidates, settings)
    values = field.grid.values.data
    start = torch.sigmoid(values[:, 1:])
    colours = start + least_squares(matrix, matrix.transposed(len(values)), target - matrix @ start)
    values[:, 1:] = torch.logit(colours.clamp(DARKEST, 1 - DARKEST))
    return field


@torch.no_grad()
def _plain_copy(coarse: DenseScene, settings) -> SparseField:
    """The coarse scene with the decoder applied at fine voxels once and for all."""
    size, extent = settings.distillation.resolution, settings.volume.extent
    occupancy = occupancy_of(coarse.field, size, settings.rendering.empty_density, grow=1)[0]
    active = dilate(occupancy, 1)  # lookups next to an occupied voxel need its neighbours too
    rows = active.flatten().nonzero().squeeze(1)
    centres = voxel_centres(size, extent).to(rows.device)[rows]
    density, colour = coarse.field(centres[None])
    decoder = PlainDecoder(settings.volume.density_scale)
    values = decoder.encode(density[0], colour[0].clamp(DARKEST, 1 - DARKEST))
    empty = decoder.encode(density.new_zeros(1), colour.new_full((1, 3), 0.5))
    return SparseField(SparseGrid.of_rows(active, values, empty, extent), decoder, occupancy)


@torch.no_grad()
def _system(
    field: SparseField, cameras: Cameras, views: Tensor, candidates: Tensor, settings
) -> tuple[SparseMatrix, Tensor]:
    """The matrix that takes the voxels' colours to the candidate pixels' (P), less the white behind, and those (P, 3)."""
    size, extent, count = views.shape[-1], settings.volume.extent, settings.distillation.samples
    index, weight, pixel, targets, first = [], [], [], [], 0
    place = torch.arange(size)
    chequered = (place[:, None] + place) % 2 == 0  # half of the pixels: several see each voxel
    for view in range(len(cameras)):
        pixels = (candidates[view] & chequered).flatten().nonzero().squeeze(1).to(views.device)
        origins, directions = cameras[view].rays(size, pixels)
        near, far = occupied_interval(field, origins, directions)
        depths = stratified_depths(near, far, count, None)
        points = (origins[:, :, None] + depths[..., None] * directions[:, :, None]).reshape(1, -1, 3)
        density = field.at(points[0])[0] * field.occupied(*points.unbind(-1))[0]
        opacity = 1 - torch.exp(-density.reshape(depths.shape) * ((far - near) / count)[..., None])
        share = absorption_weights(opacity)[0]
        strong = (share > FAINT).flatten().nonzero().squeeze(1)
        rows, shares = corners(points[0, strong], field.grid.index.shape[0], extent)
        index.append(field.grid.index.flatten()[rows.flatten()].reshape(rows.shape))
        weight.append(shares * share.flatten()[strong, None])
        pixel.append(first + strong // count)
        behind = 1 - torch.zeros_like(share[:, 0]).index_add(0, strong // count, share.flatten()[strong])
        targets.append(views[view].flatten(1)[:, pixels].T - behind[:, None])
        first += len(pixels)
    starts = 8 * torch.searchsorted(torch.cat(pixel), torch.arange(first, device=views.device))
    return SparseMatrix(torch.cat(index).flatten(), torch.cat(weight).flatten(), starts.int()), torch.cat(targets)


def least_squares(matrix: SparseMatrix, transpose: SparseMatrix, residual: Tensor) -> Tensor:
    """x (R, 3) of the least |matrix x - residual|^2 + PULL |x|^2, after ITERATIONS steps of conjugate gradients."""
    gradient = transpose @ residual
    found, direction, square = torch.zeros_like(gradient), gradient, gradient.square().sum(0)
    for _ in range(ITERATIONS):
        image = transpose @ (matrix @ direction) + PULL * direction
        step = square / (direction * image).sum(0).clamp_min(1e-20)
        found, gradient = found + step * direction, gradient - step * image
        square, before = gradient.square().sum(0), square
        direction = gradient + square / before.clamp_min(1e-20) * direction
    return found
