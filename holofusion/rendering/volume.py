"""Emission-absorption rendering of a radiance field inside the cube [-extent, extent]^3.

HoloDiffusion (Karnewar et al., CVPR 2023, released code) renders the same way: evenly spaced samples, then importance
samples, all of which take part in the march. Where a field knows its empty space, rays are sampled between the first and
the last occupied point alone, and not evaluated where space is empty in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from holofusion.rendering.field import Field
from holofusion.rendering.rays import Rays


@dataclass(frozen=True)
class Rendered:
    """rgb (B, N, 3) over white, alpha (B, N) in [0, 1], depth (B, N): expected distance along the ray, world units."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor

    def image(self, size: int) -> Tensor:
        """The colours as (B, 3, size, size), where the rays were those of all pixels in order."""
        return self.rgb.transpose(1, 2).unflatten(2, (size, size))


def stratified_depths(near: Tensor, far: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """One depth per equal bin of [near, far]: uniform in the bin with a generator, its middle without. (B, N, count)."""
    shape = (*near.shape, count)
    jitter = torch.full(shape, 0.5) if generator is None else torch.rand(shape, generator=generator)
    position = (torch.arange(count) + jitter).to(near.device, non_blocking=True) / count
    return near[..., None] + (far - near)[..., None] * position


def importance_depths(depths: Tensor, weights: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw `count` depths (B, N, count) from the step function that `weights` (B, N, n) put on bins around `depths`."""
    middle = 0.5 * (depths[..., 1:] + depths[..., :-1])
    edges = torch.cat([depths[..., :1], middle, depths[..., -1:]], -1)
    cumulative = torch.cumsum(weights + 1e-4, -1)
    cumulative = torch.cat([torch.zeros_like(cumulative[..., :1]), cumulative], -1) / cumulative[..., -1:]
    shape = (*depths.shape[:-1], count)
    jitter = torch.full(shape, 0.5) if generator is None else torch.rand(shape, generator=generator)
    target = ((torch.arange(count) + jitter) / count).to(depths.device, non_blocking=True)
    upper = torch.searchsorted(cumulative.contiguous(), target.contiguous(), right=True).clamp(1, edges.shape[-1] - 1)
    low_c, high_c = cumulative.gather(-1, upper - 1), cumulative.gather(-1, upper)
    low_e, high_e = edges.gather(-1, upper - 1), edges.gather(-1, upper)
    return low_e + (high_e - low_e) * (target - low_c) / (high_c - low_c).clamp_min(1e-8)


def absorption_weights(opacity: Tensor) -> Tensor:
    """Weight of each sample: its opacity times the transmittance in front of it. opacity (..., n) in [0, 1] -> (..., n)."""
    transmittance = torch.cumprod(1.0 - opacity + 1e-10, -1)
    before = torch.cat([torch.ones_like(transmittance[..., :1]), transmittance[..., :-1]], -1)
    return opacity * before


def opacity_of(density: Tensor, depths: Tensor, far: Tensor) -> Tensor:
    """Opacity in [0, 1] of each sample: density and sorted depths (B, N, n), far (B, N), where the last one ends."""
    following = torch.cat([depths[..., 1:], far[..., None]], -1)
    return 1.0 - torch.exp(-density * (following - depths).clamp_min(0.0))


def composite(density: Tensor, colour: Tensor, depths: Tensor, far: Tensor) -> Rendered:
    """March sorted samples over white. density, depths (B, N, n); colour (B, N, n, C); far (B, N)."""
    weights = absorption_weights(opacity_of(density, depths, far))
    alpha = weights.sum(-1)
    rgb = (weights[..., None] * colour).sum(-2) + (1.0 - alpha)[..., None]
    return Rendered(rgb, alpha, (weights * depths).sum(-1) / alpha.clamp_min(1e-6))


def query_at(field: Field, rays: Rays, depths: Tensor) -> tuple[Tensor, Tensor]:
    """Density (B, N, n) and colour (B, N, n, C) at the depths; empty space is not evaluated, and is black there."""
    batch, count, samples = depths.shape
    if field.occupancy is None or not field.occupancy.skips:
        directions = None
        if field.sees_directions:
            directions = rays.directions.repeat_interleave(samples, 1).flatten(0, 1)
        density, colour = field.query(rays.at(depths).flatten(0, 2), directions)
    else:
        places = rays.coordinates_at(depths)
        keep = field.occupancy.contains(*places).flatten().nonzero().squeeze(1)
        points = torch.stack([place.flatten().index_select(0, keep) for place in places]).T
        directions = None
        if field.sees_directions:
            ray = torch.div(keep, samples, rounding_mode="trunc")
            directions = rays.directions.flatten(0, 1).index_select(0, ray)
        member = torch.div(keep, count * samples, rounding_mode="trunc")
        some_density, some_colour = field.query(points, directions, member)
        density = some_density.new_zeros(depths.numel()).index_copy_(0, keep, some_density)
        colour = some_colour.new_zeros(depths.numel(), field.channels).index_copy_(0, keep, some_colour)
    return density.reshape(depths.shape), colour.reshape(*depths.shape, field.channels)


def render_rays(
    field: Field,
    rays: Rays,
    coarse_samples: int,
    importance_samples: int,
    generator: torch.Generator | None = None,
) -> Rendered:
    """Render the rays of a field's B members through its cube. Without a generator the samples are the bins' middles.

    The coarse samples' weights steer the importance samples; all samples take part in the final march. Both are
    evaluated once, with gradients; the choice of depths carries none.
    """
    if field.occupancy is None:
        interval = rays.cube_interval(field.extent)
        return _march(field, rays, interval, coarse_samples, importance_samples, generator)
    if rays.shape[0] > 1:
        interval = field.occupancy.interval(rays)
        return _march(field, rays, interval, coarse_samples, importance_samples, generator)
    # Dropping rays that miss works for one scene only: in a batch, each scene would drop different rays.
    near, far = rays.box_interval(*field.occupancy.box)
    kept = (far > near)[0].nonzero().squeeze(1)
    near, far = field.occupancy.interval(rays[kept])
    met = (far > near)[0].nonzero().squeeze(1)  # once: a GPU is waited for
    kept, interval = kept[met], (near[:, met], far[:, met])
    some = _march(field, rays[kept], interval, coarse_samples, importance_samples, generator)
    empty = some.alpha.new_zeros(rays.shape)
    white = some.rgb.new_ones(*empty.shape, some.rgb.shape[-1])
    return Rendered(
        white.index_copy_(1, kept, some.rgb),
        empty.clone().index_copy_(1, kept, some.alpha),
        empty.index_copy_(1, kept, some.depth),
    )


def _march(
    field: Field,
    rays: Rays,
    interval: tuple[Tensor, Tensor],
    coarse_samples: int,
    importance_samples: int,
    generator: torch.Generator | None,
) -> Rendered:
    """Render rays between the distances (B, N) of `interval`."""
    near, far = interval
    depths = stratified_depths(near, far, coarse_samples, generator)
    density, colour = query_at(field, rays, depths)
    if importance_samples:
        with torch.no_grad():
            weights = absorption_weights(opacity_of(density, depths, far))
            extra = importance_depths(depths, weights, importance_samples, generator)
            depths, order = torch.cat([depths, extra], -1).sort(-1)
        extra_density, extra_colour = query_at(field, rays, extra)
        density = torch.cat([density, extra_density], -1).gather(-1, order)
        colour = torch.cat([colour, extra_colour], -2).gather(
            -2, order[..., None].expand(*order.shape, colour.shape[-1])
        )
    return composite(density, colour, depths, far)
