"""A static radiance field fitted afresh to some views of a scene: one small voxel grid, the same for every method.

Coarse to fine. Most rays are spent on the object and its outline, since white background teaches little; in the last and
longest stage points are placed only on the stretch of each ray where the coarser grid left something.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.rendering.grids import ColourField, box_of, dilate, lookup_nearest
from holofusion.rendering.volume import Rendered, composite, cube_interval, occupied_interval, stratified_depths
from holofusion.utils.random import generator_for

EXTENT, DENSITY_SCALE = 1.0, 20.0
WHITE = 0.95  # a pixel with a channel below this shows the object
STAGES = ((4, 0.0), (2, 0.1), (1, 0.3))  # the resolution divided by this, from this share of the steps on
FOG = -2.0  # density before the softplus at the start: opaque from side to side, so that every voxel is seen to matter
EMPTY = 1.0  # density per world unit below which the last stage skips space
ON_OBJECT = 0.75  # share of the rays that meet the object or its surroundings
SURROUNDINGS = 32  # the image side divided by this, around the object's pixels
LAST_RATE = 0.1  # of the learning rate, reached at the end
SMOOTHNESS, BEND, EVERY = (
    5e-9,
    0.3,
    4,
)  # pull between neighbours, difference at which it levels off, steps between pulls
RAYS_AT_ONCE = 8192


class StaticField(ColourField):
    """The fitted grid. occupancy (n, n, n) bool: what is not empty; None while that is unknown."""

    def __init__(self, grid: Tensor, occupancy: Tensor | None = None) -> None:
        super().__init__(grid, EXTENT, DENSITY_SCALE)
        self.occupancy = occupancy
        if occupancy is not None:
            self.box = box_of(occupancy, EXTENT)

    def occupied(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return lookup_nearest(self.occupancy, x, y, z, self.extent)

    def march(
        self, origins: Tensor, directions: Tensor, samples: int, generator: torch.Generator | None = None
    ) -> Rendered:
        """Colour (N, 3), opacity (N,) and depth (N,) of rays (N, 3). Stratified points, or middles without a generator."""
        if self.occupancy is None:
            near, far = cube_interval(origins, directions, self.extent)
        else:
            near, far = (part[0] for part in occupied_interval(self, origins[None], directions[None]))
        keep = (far > near).nonzero().squeeze(1)
        depths = stratified_depths(near[None, keep], far[None, keep], samples, generator)
        points = origins[keep, None] + depths[0, ..., None] * directions[keep, None]
        density, colour = self(points.reshape(1, -1, 3))
        found = composite(density.reshape(depths.shape), colour.reshape(*depths.shape, 3), depths, far[None, keep])
        empty = torch.zeros(len(origins), device=origins.device)
        return Rendered(
            torch.ones_like(origins).index_copy(0, keep, found.rgb[0]),
            empty.index_copy(0, keep, found.alpha[0]),
            empty.index_copy(0, keep, found.depth[0]),
        )


def fit(images: Tensor, cameras: Cameras, settings: Any, *name: object) -> StaticField:
    """A field that renders like images (n, 3, S, S), floats in [0, 1], seen from n cameras on the same device.

    settings: steps, rays, resolution, samples and learning_rate of the section `consistency`. Random draws are named `name`.
    """
    origins, directions = (part.flatten(0, 1) for part in cameras.rays(images.shape[-1]))
    colours = images.permute(0, 2, 3, 1).reshape(-1, 3)
    near, far = cube_interval(origins, directions, EXTENT)
    around = _around_object(images).flatten() & (far > near)
    anywhere = (far > near).nonzero().squeeze(1)
    pools = ((around.nonzero().squeeze(1) if around.any() else anywhere), anywhere)
    counts = (round(ON_OBJECT * settings.rays), settings.rays - round(ON_OBJECT * settings.rays))
    field, optimiser, begins = None, None, {round(share * settings.steps): part for part, share in STAGES}
    for step in range(settings.steps):
        if step in begins:
            field = _finer(field, settings.resolution // begins[step], last=begins[step] == 1, device=images.device)
            optimiser = torch.optim.Adam([field.grid], betas=(0.9, 0.99))
        optimiser.param_groups[0]["lr"] = settings.learning_rate * _rate(step / settings.steps)
        generator = generator_for("static field", *name, step)
        rays = torch.cat(
            [
                pool[torch.randint(len(pool), (count,), generator=generator).to(pool.device)]
                for pool, count in zip(pools, counts, strict=True)
            ]
        )
        # while nothing is skipped the points have the whole ray to cover
        samples = settings.samples * (2 if field.occupancy is None else 1)
        error = (field.march(origins[rays], directions[rays], samples, generator).rgb - colours[rays]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        # tiny gradients square to denormal numbers, on which Adam is slow
        field.grid.grad = F.hardshrink(field.grid.grad, 1e-12)
        if step % EVERY == 0:
            _pull_neighbours(field.grid, EVERY * SMOOTHNESS)
        optimiser.step()
    field.grid.requires_grad_(False)
    return field


def _around_object(images: Tensor) -> Tensor:
    """Pixels (n, S, S) bool that show something, or lie near one that does, in images (n, 3, S, S)."""
    reach = max(1, images.shape[-1] // SURROUNDINGS)
    shown = (images.amin(1) < WHITE).float()
    return F.max_pool2d(shown[:, None], 2 * reach + 1, 1, reach)[:, 0] > 0


def _finer(field: StaticField | None, resolution: int, last: bool, device: torch.device) -> StaticField:
    """The first field, or `field` at another resolution with a trainable grid; the last one skips empty space."""
    if field is None:
        grid = torch.zeros(1, 4, *(resolution,) * 3, device=device)
        grid[:, 0] = FOG
        return StaticField(grid.requires_grad_())
    grid = F.interpolate(field.grid.detach(), size=(resolution,) * 3, mode="trilinear", align_corners=False)
    occupancy = dilate(DENSITY_SCALE * F.softplus(grid[0, 0]) > EMPTY, 1) if last else None
    return StaticField(grid.requires_grad_(), occupancy)


def _rate(progress: float) -> float:
    """Share of the learning rate: 1 until the last stage begins, then falling to LAST_RATE."""
    start = STAGES[-1][1]
    return LAST_RATE ** (max(0.0, progress - start) / (1 - start))


@torch.no_grad()
def _pull_neighbours(grid: Tensor, amount: float) -> None:
    """Add the gradient of a smoothness penalty, linear in large differences so that edges stay, to the grid's gradient."""
    for axis in (2, 3, 4):
        difference = grid.diff(dim=axis)
        pull = difference.div_((difference.square() + BEND**2).sqrt_()).mul_(amount)
        grid.grad.narrow(axis, 1, pull.shape[axis]).add_(pull)
        grid.grad.narrow(axis, 0, pull.shape[axis]).sub_(pull)


@torch.no_grad()
def render(field: StaticField, cameras: Cameras, size: int, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (n, 3, S, S) rounded to 8 bits like any PNG, opacity (n, S, S), depth along the ray (n, S, S)."""
    parts = []
    for index in range(len(cameras)):
        origins, directions = (part[0] for part in cameras[index].rays(size))
        for rays in torch.arange(size * size, device=origins.device).split(RAYS_AT_ONCE):
            found = field.march(origins[rays], directions[rays], samples)
            parts.append(torch.cat([found.rgb, found.alpha[:, None], found.depth[:, None]], 1))
    values = torch.cat(parts).reshape(len(cameras), size, size, 5).permute(0, 3, 1, 2)
    return (values[:, :3] * 255).round() / 255, values[:, 3], values[:, 4]
