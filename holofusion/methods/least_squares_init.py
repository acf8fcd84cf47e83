"""Fit a scene's colours to its super-resolved views by least squares, so that distillation then needs few steps.

While densities stand still, a pixel is linear in the voxels' colours. The colours that explain all views best, and stay
near the coarse scene's where nothing is seen, are the solution of one sparse least-squares problem.
"""

from __future__ import annotations

import torch
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.config.sampling import Distillation
from holofusion.rendering.grids import PlainDecoder, corners, voxel_centres
from holofusion.rendering.occupancy import dilate
from holofusion.rendering.rays import Rays
from holofusion.rendering.sparse_grid import SparseField, SparseGrid
from holofusion.rendering.sparse_matrix import SparseMatrix
from holofusion.rendering.volume import absorption_weights, stratified_depths
from holofusion.scenes.voxel import VoxelScene

FAINT_WEIGHT = 0.02  # share of a pixel below which a sample is left out
ITERATIONS = 6  # of conjugate gradients
COLOUR_MARGIN = 0.01  # colours stay that far from 0 and 1, where the sigmoid cannot reach


@torch.no_grad()
def least_squares_init(
    coarse: VoxelScene, cameras: Cameras, views: Tensor, candidates: Tensor, section: Distillation
) -> SparseField:
    """A field of densities and colours, in place of features, whose renders are as near to the views as colours make them.

    cameras: V of them. views (V, 3, S, S) in [0, 1]. candidates (V, S, S) bool: the pixels that count. Densities are the
    coarse scene's.
    """
    field = _plain_copy(coarse, section.resolution)
    matrix, target = _system(field, cameras, views, candidates, section.samples)
    values = field.grid.values.data
    start = torch.sigmoid(values[:, 1:])
    transpose, lacking = matrix.transposed(len(values)), target - matrix @ start
    colours = start + least_squares(matrix, transpose, lacking, section.coarse_weight)
    values[:, 1:] = torch.logit(colours.clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN))
    return field


def _plain_copy(coarse: VoxelScene, size: int) -> SparseField:
    """The coarse scene with the decoder applied at size^3 voxels once and for all."""
    extent = coarse.facts.extent
    occupied = coarse.occupied(size)
    active = dilate(occupied, 1)  # lookups next to an occupied voxel need its neighbours too
    rows = active.flatten().nonzero().squeeze(1)
    centres = voxel_centres(size, extent).to(rows.device)[rows]
    density, colour = coarse.field.query(centres)
    decoder = PlainDecoder(coarse.facts.density_scale)
    values = decoder.encode(density, colour.clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN))
    empty = decoder.encode(density.new_zeros(1), colour.new_full((1, 3), 0.5))
    return SparseField(SparseGrid.of_rows(active, values, empty, extent), decoder, occupied)


def _system(
    field: SparseField, cameras: Cameras, views: Tensor, candidates: Tensor, count: int
) -> tuple[SparseMatrix, Tensor]:
    """The matrix that takes the voxels' colours to the candidate pixels' (P), less the white background, and those (P, 3).

    count: points per ray.
    """
    size = views.shape[-1]
    index, weight, pixel, targets, first = [], [], [], [], 0
    place = torch.arange(size)
    chequered = (place[:, None] + place) % 2 == 0  # half of the pixels: several see each voxel
    for view in range(len(cameras)):
        pixels = (candidates[view] & chequered).flatten().nonzero().squeeze(1).to(views.device)
        rays = Rays.through(cameras[view], size, pixels)
        near, far = field.occupancy.interval(rays)
        depths = stratified_depths(near, far, count, None)
        points = rays.at(depths).flatten(0, 2)
        density = field.query(points)[0] * field.occupancy.contains(*points[None].unbind(-1))[0]
        opacity = 1 - torch.exp(-density.reshape(depths.shape) * ((far - near) / count)[..., None])
        absorbed = absorption_weights(opacity)[0]
        strong = (absorbed > FAINT_WEIGHT).flatten().nonzero().squeeze(1)
        rows, shares = corners(points[strong], field.grid.index.shape[0], field.extent)
        index.append(field.grid.index.flatten()[rows.flatten()].reshape(rows.shape))
        weight.append(shares * absorbed.flatten()[strong, None])
        pixel.append(first + strong // count)
        background = 1 - torch.zeros_like(absorbed[:, 0]).index_add(0, strong // count, absorbed.flatten()[strong])
        targets.append(views[view].flatten(1)[:, pixels].T - background[:, None])
        first += len(pixels)
    starts = 8 * torch.searchsorted(torch.cat(pixel), torch.arange(first, device=views.device))
    return SparseMatrix(torch.cat(index).flatten(), torch.cat(weight).flatten(), starts.int()), torch.cat(targets)


def least_squares(matrix: SparseMatrix, transpose: SparseMatrix, residual: Tensor, weight: float) -> Tensor:
    """x (R, 3) of the least |matrix x - residual|^2 + weight |x|^2, after ITERATIONS steps of conjugate gradients."""
    gradient = transpose @ residual
    solution, direction, square = torch.zeros_like(gradient), gradient, gradient.square().sum(0)
    for _ in range(ITERATIONS):
        image = transpose @ (matrix @ direction) + weight * direction
        step = square / (direction * image).sum(0).clamp_min(1e-20)
        solution, gradient = solution + step * direction, gradient - step * image
        square, before = gradient.square().sum(0), square
        direction = gradient + square / before.clamp_min(1e-20) * direction
    return solution
