"""Rays per second of our renderer over PyTorch3D's, for one trained scene: the same grid and decoder.

Our occupancy grid is made with the scene, once for all its pictures, and is not in the times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pytorch3d.renderer import EmissionAbsorptionRaymarcher, ImplicitRenderer
from pytorch3d.renderer.implicit.renderer import VolumeSampler
from pytorch3d.renderer.implicit.utils import RayBundle
from pytorch3d.structures import Volumes
from torch import Tensor

from benchmarks.context import Context
from benchmarks.operations import training_scene
from benchmarks.timing import alternate
from holofusion.cameras import Cameras
from holofusion.rendering.grids import DenseField
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays, stratified_depths
from holofusion.scenes.voxel import VoxelScene
from holofusion.utils.files import UserError

SIDE = 128  # pixels
EXACT = 320  # evenly spaced samples that are taken for the exact picture
AGREEMENT = 1e-5  # largest difference allowed between the two pictures, in single precision


def measure(context: Context) -> dict[str, Any]:
    """Time of PyTorch3D over ours, of one picture, in single precision; with gradients to grid and decoder, too.

    `render_speedup_own_samples` gives PyTorch3D its own samples in place of ours: evenly spaced in the cube, as few as
    come as near to the exact picture as ours does.
    """
    ours = Ours(training_scene(context), context.data.evaluation_cameras[0], SIDE)
    theirs, (alone, errors) = with_our_samples(ours), as_exact_as(ours)
    with torch.no_grad():
        difference = float((ours.rgb() - theirs.rgb()).abs().max())
    if difference > AGREEMENT:
        raise UserError(
            f"rendering: the pictures of both renderers differ by {difference:.1g}, more than {AGREEMENT:g}"
        )

    def backward(renderer: Ours | Theirs) -> None:
        torch.autograd.grad(renderer.rgb().square().mean(), renderer.parameters)

    def forward(renderer: Ours | Theirs) -> None:
        with torch.no_grad():
            renderer.rgb()

    def speedup(call: Callable[[Ours | Theirs], None], other: Theirs) -> dict[str, Any]:
        ratios = alternate(lambda: call(other), lambda: call(ours), context.rounds)
        return {**ratios.summary(), "rays": SIDE**2, "samples": [other.depths.shape[-1], ours.samples]}

    evaluated = float(theirs.occupied.float().mean())
    return {
        "render_speedup_forward": {**speedup(forward, theirs), "difference": difference, "evaluated": evaluated},
        "render_speedup_forward_backward": speedup(backward, theirs),
        "render_speedup_own_samples": {**speedup(forward, alone), "errors": errors},
    }


class Ours:
    """The picture of a scene as `render_rays` makes it."""

    def __init__(self, scene: VoxelScene, camera: Cameras, side: int) -> None:
        field, self.samples = scene.field, scene.facts.coarse_samples
        grid = field.grid.detach().clone().requires_grad_()
        self.field = DenseField(grid, field.decoder, field.extent, field.occupancy)
        self.rays = Rays.through(camera, side)
        self.parameters = [grid, *field.decoder.parameters()]

    def rgb(self) -> Tensor:
        return render_rays(self.field, self.rays, self.samples, 0).rgb


class Theirs:
    """The same picture by the parts of PyTorch3D's VolumeRenderer: its sampler, its marcher, and what joins them.

    Our decoder turns the sampled features into density and colour. The samples are worked out beforehand: their depths
    (B, N, n) along the rays, far (B, N) where these end, and which of them count as occupied.
    """

    def __init__(self, ours: Ours, depths: Tensor, far: Tensor, occupied: Tensor) -> None:
        self.parameters, self.decoder = ours.parameters, ours.field.decoder
        self.depths, self.occupied = depths, occupied
        self.lengths = (torch.cat([depths[..., 1:], far[..., None]], -1) - depths).clamp_min(0)
        bundle = RayBundle(ours.rays.origins, ours.rays.directions, depths, torch.zeros(*far.shape, 2))
        self.renderer = ImplicitRenderer(lambda **_: bundle, EmissionAbsorptionRaymarcher())
        # Volumes takes half a voxel off either end, whatever align_corners says; ours reach to the voxels' outer faces
        self.voxel = 2 * ours.field.extent / (ours.field.grid.shape[-1] - 1)

    def rgb(self) -> Tensor:
        grid = self.parameters[0]
        # features in the densities' place are read from the grid once, not twice
        sampler = VolumeSampler(Volumes(grid, voxel_size=self.voxel, align_corners=False), padding_mode="border")

        def decoded(ray_bundle: RayBundle, **_: object) -> tuple[Tensor, Tensor]:
            features, _ = sampler(ray_bundle)
            density, colour = self.decoder(features)
            return (1 - torch.exp(-density * self.occupied * self.lengths))[..., None], colour

        pictures, _ = self.renderer(cameras=None, volumetric_function=decoded)
        return pictures[..., :3] + 1 - pictures[..., 3:]


def with_our_samples(ours: Ours) -> Theirs:
    """PyTorch3D at the very samples that ours takes, told for nothing where they are and which are in empty space."""
    near, far = ours.field.occupancy.interval(ours.rays)
    depths = stratified_depths(near, far, ours.samples, None)
    occupied = ours.field.occupancy.contains(*ours.rays.coordinates_at(depths))
    return Theirs(ours, depths, far, occupied.reshape(depths.shape))


def evenly_sampled(ours: Ours, count: int) -> Theirs:
    """PyTorch3D with so many evenly spaced samples where a ray crosses the cube."""
    near, far = ours.rays.cube_interval(ours.field.extent)
    depths = stratified_depths(near, far, count, None)
    return Theirs(ours, depths, far, torch.ones_like(depths))


@torch.no_grad()
def as_exact_as(ours: Ours) -> tuple[Theirs, list[float]]:
    """The same with as few samples as bring its picture as near to the exact one as ours; root mean square errors of both.

    Raises UserError if none do.
    """
    exact = evenly_sampled(ours, EXACT).rgb()

    def error(renderer: Ours | Theirs) -> float:
        return float((renderer.rgb() - exact).square().mean().sqrt())

    allowed = error(ours)
    for count in range(ours.samples, EXACT):
        theirs = evenly_sampled(ours, count)
        if (found := error(theirs)) <= allowed:
            return theirs, [found, allowed]
    raise UserError(f"rendering: PyTorch3D needs more than {EXACT} samples to come within our error of {allowed:.2g}")
