"""Emission-absorption rendering of a radiance field inside the cube [-extent, extent]^3.

A field is any callable `field(points) -> (density, colour)` with points (B, N, 3) in world units, density (B, N) >= 0 per
world unit and colour (B, N, 3) in [0, 1], or any number of features in its place. One that sets `sees_directions` is
called `field(points, directions)`, unit directions (B, N, 3). HoloDiffusion renders the same way: coarse samples, then
importance samples, coarse ones kept.

A field that knows its empty space carries two more methods: `occupied(x, y, z) -> bool`, all (B, N), and `at(points, which)`
for points (K, 3) of the batch's members `which` (K,), giving density (K,) and colour (K, C); and `box`, the corners
low (3,) and high (3,) around all that is occupied. Rays are then sampled between the first and the last occupied point
alone, and not evaluated where space is empty in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
SCAN = 32  # points of a ray that are looked at for occupied space


@dataclass(frozen=True)
class Rendered:
    """rgb (B, N, 3) over white, alpha (B, N) in [0, 1], depth (B, N): expected distance along the ray, world units."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor

    def image(self, size: int) -> Tensor:
        """The colours as (B, 3, size, size), where the rays were those of all pixels in order."""
        return self.rgb.transpose(1, 2).unflatten(2, (size, size))


def box_interval(origins: Tensor, directions: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (B, N) at which rays (B, N, 3) enter and leave the box from low (3,) to high (3,); equal if they miss it."""
    inverse = 1 / torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    first, second = (low - origins) * inverse, (high - origins) * inverse
    near = torch.minimum(first, second).amax(-1).clamp_min(0.0)
    far = torch.maximum(first, second).amin(-1)
    return near, torch.maximum(near, far)


def cube_interval(origins: Tensor, directions: Tensor, extent: float) -> tuple[Tensor, Tensor]:
    """The same for the cube [-extent, extent]^3."""
    return box_interval(origins, directions, *origins.new_tensor([[-extent] * 3, [extent] * 3]))


def stratified_depths(near: Tensor, far: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """One depth per equal bin of [near, far]: uniform in the bin with a generator, its middle without. (B, N, count)."""
    shape = (*near.shape, count)
    jitter = torch.full(shape, 0.5) if generator is None else torch.rand(shape, generator=generator)
    position = (torch.arange(count) + jitter).to(near.device) / count
    return near[..., None] + (far - near)[..., None] * position


def importance_depths(depths: Tensor, weights: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw `count` depths (B, N, count) from the step function that `weights` (B, N, n) put on bins around `depths`."""
    middle = 0.5 * (depths[..., 1:] + depths[..., :-1])
    edges = torch.cat([depths[..., :1], middle, depths[..., -1:]], -1)
    cumulative = torch.cumsum(weights + 1e-4, -1)
    cumulative = torch.cat([torch.zeros_like(cumulative[..., :1]), cumulative], -1) / cumulative[..., -1:]
    shape = (*depths.shape[:-1], count)
    jitter = torch.full(shape, 0.5) if generator is None else torch.rand(shape, generator=generator)
    target = ((torch.arange(count) + jitter) / count).to(depths.device)
    upper = torch.searchsorted(cumulative.contiguous(), target.contiguous(), right=True).clamp(1, edges.shape[-1] - 1)
    low_c, high_c = cumulative.gather(-1, upper - 1), cumulative.gather(-1, upper)
    low_e, high_e = edges.gather(-1, upper - 1), edges.gather(-1, upper)
    return low_e + (high_e - low_e) * (target - low_c) / (high_c - low_c).clamp_min(1e-8)


def absorption_weights(opacity: Tensor) -> Tensor:
    """Weight of each sample: its opacity times the transmittance in front of it. opacity (..., n) in [0, 1] -> (..., n)."""
    transmittance = torch.cumprod(1.0 - opacity + 1e-10, -1)
    before = torch.cat([torch.ones_like(transmittance[..., :1]), transmittance[..., :-1]], -1)
    return opacity * before


def composite(density: Tensor, colour: Tensor, depths: Tensor, far: Tensor) -> Rendered:
    """March sorted samples over white. density, depths (B, N, n); colour (B, N, n, C); far (B, N)."""
    following = torch.cat([depths[..., 1:], far[..., None]], -1)
    weights = absorption_weights(1.0 - torch.exp(-density * (following - depths).clamp_min(0.0)))
    alpha = weights.sum(-1)
    rgb = (weights[..., None] * colour).sum(-2) + (1.0 - alpha)[..., None]
    return Rendered(rgb, alpha, (weights * depths).sum(-1) / alpha.clamp_min(1e-6))


def occupied_interval(field: Field, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (B, N) of the first and the last occupied point of rays (B, N, 3); equal for rays that meet none.

    Looks at SCAN evenly spaced points in the field's box, and adds half a step at either end.
    """
    near, far = box_interval(origins, directions, *field.box)
    step = (far - near) / SCAN
    at = near[..., None] + step[..., None] * (torch.arange(SCAN, device=near.device) + 0.5)
    hit = field.occupied(*places_at(origins, directions, at)).reshape(at.shape)
    number = torch.arange(1, SCAN + 1, dtype=torch.uint8, device=near.device)
    last, first = (hit * number).amax(-1), SCAN + 1 - (hit * number.flip(0)).amax(-1)
    begin, end = near + step * (first - 1.5).clamp_min(0), near + step * (last + 0.5).clamp_max(SCAN)
    met = (last > 0) & (far > near)
    return torch.where(met, begin, near), torch.where(met, end, near)


def _query(field: Field, origins: Tensor, directions: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
    """Density (B, N, n) and colour (B, N, n, 3) at the depths; empty space is not evaluated."""
    batch, rays, count = depths.shape
    if hasattr(field, "occupied"):
        places = places_at(origins, directions, depths)
        keep = field.occupied(*places).flatten().nonzero().squeeze(1)
        points = torch.stack([place.flatten().index_select(0, keep) for place in places]).T
        some_density, some_colour = field.at(points, torch.div(keep, rays * count, rounding_mode="trunc"))
        density = some_density.new_zeros(batch * rays * count).index_copy_(0, keep, some_density)
        colour = some_colour.new_zeros(batch * rays * count, 3).index_copy_(0, keep, some_colour)
    else:
        points = (origins[:, :, None] + depths[..., None] * directions[:, :, None]).flatten(1, 2)
        sees = getattr(field, "sees_directions", False)
        density, colour = field(points, directions.repeat_interleave(count, 1)) if sees else field(points)
    return density.reshape(batch, rays, count), colour.reshape(batch, rays, count, colour.shape[-1])


def places_at(origins: Tensor, directions: Tensor, depths: Tensor) -> list[Tensor]:
    """x, y and z, each (B, N n), at depths (B, N, n) of rays (B, N, 3): long rows are faster than triples."""
    return [
        torch.addcmul(origin[..., None], depths, direction[..., None]).flatten(1)
        for origin, direction in zip(origins.unbind(-1), directions.unbind(-1), strict=True)
    ]


def render_rays(
    field: Field,
    origins: Tensor,
    directions: Tensor,
    extent: float,
    coarse_samples: int,
    importance_samples: int,
    generator: torch.Generator | None = None,
) -> Rendered:
    """Render rays (B, N, 3), unit directions, through the cube. Without a generator the samples are the bins' middles.

    The coarse samples' weights steer the importance samples; all samples take part in the final march. Both are
    evaluated once, with gradients; the choice of depths carries none.
    """
    samples = (coarse_samples, importance_samples, generator)
    if not hasattr(field, "occupied"):
        return _march(field, origins, directions, cube_interval(origins, directions, extent), *samples)
    if len(origins) > 1:
        return _march(field, origins, directions, occupied_interval(field, origins, directions), *samples)
    # members of a batch would miss with different rays; a single one can do without those that meet nothing
    near, far = box_interval(origins, directions, *field.box)
    kept = (far > near)[0].nonzero().squeeze(1)
    near, far = occupied_interval(field, origins[:, kept], directions[:, kept])
    met = (far > near)[0]
    kept, interval = kept[met], (near[:, met], far[:, met])
    some = _march(field, origins[:, kept], directions[:, kept], interval, *samples)
    empty = some.alpha.new_zeros(origins.shape[:2])
    white = some.rgb.new_ones(*empty.shape, some.rgb.shape[-1])
    return Rendered(
        white.index_copy_(1, kept, some.rgb),
        empty.clone().index_copy_(1, kept, some.alpha),
        empty.index_copy_(1, kept, some.depth),
    )


def _march(
    field: Field,
    origins: Tensor,
    directions: Tensor,
    interval: tuple[Tensor, Tensor],
    coarse_samples: int,
    importance_samples: int,
    generator: torch.Generator | None,
) -> Rendered:
    """Render rays (B, N, 3) between the distances (B, N) of `interval`."""
    near, far = interval
    depths = stratified_depths(near, far, coarse_samples, generator)
    density, colour = _query(field, origins, directions, depths)
    if importance_samples:
        with torch.no_grad():
            following = torch.cat([depths[..., 1:], far[..., None]], -1)
            weights = absorption_weights(1.0 - torch.exp(-density * (following - depths).clamp_min(0.0)))
            extra = importance_depths(depths, weights, importance_samples, generator)
            depths, order = torch.cat([depths, extra], -1).sort(-1)
        extra_density, extra_colour = _query(field, origins, directions, extra)
        density = torch.cat([density, extra_density], -1).gather(-1, order)
        colour = torch.cat([colour, extra_colour], -2).gather(
            -2, order[..., None].expand(*order.shape, colour.shape[-1])
        )
    return composite(density, colour, depths, far)
