"""A static radiance field fitted afresh to some views of a scene: one small voxel grid, the same for every method.

Coarse to fine. Most rays are spent on the object and its outline, since white background teaches little; in the last and
longest stage points are placed only on the stretch of each ray where the coarser grid left something.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.evaluation import Consistency
from holofusion.rendering.grids import DenseField, PlainDecoder
from holofusion.rendering.occupancy import Occupancy, dilate
from holofusion.rendering.rays import Rays
from holofusion.rendering.views import render_field
from holofusion.rendering.volume import render_rays
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


def fit(images: Tensor, cameras: Cameras, section: Consistency, *name: object) -> DenseField:
    """A field that renders like images (n, 3, S, S), floats in [0, 1], seen from n cameras on the same device.

    section: `steps`, `rays`, `resolution`, `samples` and `learning_rate`. Random draws are named `name`.
    """
    everything = Rays.through(cameras, images.shape[-1]).shared_among(1)
    colours = images.permute(0, 2, 3, 1).reshape(-1, 3)
    near, far = everything.cube_interval(EXTENT)
    crosses = (far > near)[0]
    around = _around_object(images).flatten() & crosses
    anywhere = crosses.nonzero().squeeze(1)
    pools = ((around.nonzero().squeeze(1) if around.any() else anywhere), anywhere)
    counts = (round(ON_OBJECT * section.rays), section.rays - round(ON_OBJECT * section.rays))
    begins = {round(share * section.steps): part for part, share in STAGES}
    field = _first(section.resolution // STAGES[0][0], images.device)
    optimiser = _optimiser(field)
    for step in range(section.steps):
        if step in begins and step:
            field = _finer(field, section.resolution // begins[step], last=begins[step] == 1)
            optimiser = _optimiser(field)
        optimiser.param_groups[0]["lr"] = section.learning_rate * _rate(step / section.steps)
        generator = generator_for("static field", *name, step)
        drawn = torch.cat(
            [
                pool[torch.randint(len(pool), (count,), generator=generator).to(pool.device)]
                for pool, count in zip(pools, counts, strict=True)
            ]
        )
        # while nothing is skipped the points have the whole ray to cover
        samples = section.samples * (2 if field.occupancy is None else 1)
        rendered = render_rays(field, everything[drawn], samples, 0, generator)
        error = (rendered.rgb[0] - colours[drawn]).square().mean()
        # tiny gradients square to denormal numbers, on which Adam is slow
        gradient = F.hardshrink(torch.autograd.grad(error, field.grid)[0], 1e-12)
        if step % EVERY == 0:
            _pull_neighbours(field.grid, gradient, EVERY * SMOOTHNESS)
        field.grid.grad = gradient
        optimiser.step()
    field.grid.requires_grad_(False)
    return field


def _around_object(images: Tensor) -> Tensor:
    """Pixels (n, S, S) bool that show something, or lie near one that does, in images (n, 3, S, S)."""
    reach = max(1, images.shape[-1] // SURROUNDINGS)
    shown = (images.amin(1) < WHITE).float()
    return F.max_pool2d(shown[:, None], 2 * reach + 1, 1, reach)[:, 0] > 0


def _first(resolution: int, device: torch.device) -> DenseField:
    """Fog without colour."""
    grid = torch.zeros(1, 4, *(resolution,) * 3, device=device)
    grid[:, 0] = FOG
    return DenseField(grid.requires_grad_(), PlainDecoder(DENSITY_SCALE), EXTENT)


def _finer(field: DenseField, resolution: int, last: bool) -> DenseField:
    """`field` at another resolution with a trainable grid; the last one shortens rays to where something is."""
    grid = F.interpolate(field.grid.detach(), size=(resolution,) * 3, mode="trilinear", align_corners=False)
    occupancy = None
    if last:
        occupied = dilate(DENSITY_SCALE * F.softplus(grid[0, 0]) > EMPTY, 1)
        occupancy = Occupancy(occupied, EXTENT, skips=False)
    return DenseField(grid.requires_grad_(), field.decoder, EXTENT, occupancy)


def _optimiser(field: DenseField) -> torch.optim.Adam:
    return torch.optim.Adam([field.grid], betas=(0.9, 0.99))


def _rate(progress: float) -> float:
    """Share of the learning rate: 1 until the last stage begins, then falling to LAST_RATE."""
    start = STAGES[-1][1]
    return LAST_RATE ** (max(0.0, progress - start) / (1 - start))


@torch.no_grad()
def _pull_neighbours(grid: Tensor, gradient: Tensor, amount: float) -> None:
    """Add the gradient of a smoothness penalty, linear in large differences so that edges stay, to the grid's `gradient`."""
    for axis in (2, 3, 4):
        difference = grid.diff(dim=axis)
        pull = difference.div_((difference.square() + BEND**2).sqrt_()).mul_(amount)
        gradient.narrow(axis, 1, pull.shape[axis]).add_(pull)
        gradient.narrow(axis, 0, pull.shape[axis]).sub_(pull)


def render(field: DenseField, cameras: Cameras, size: int, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (n, 3, S, S) rounded to 8 bits like any PNG, opacity (n, S, S), depth along the ray (n, S, S)."""
    views = render_field(field, cameras, size, (samples, 0))
    return (views.rgb * 255).round() / 255, views.alpha[:, 0], views.depth[:, 0]
