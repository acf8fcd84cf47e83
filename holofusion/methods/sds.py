"""Score distillation from scratch (DreamFusion, Poole et al. 2022): one radiance field per seed, pulled by a 2D denoiser.

The guide here is our own denoiser of the category's images, trained first; it is told the direction of the camera, where
DreamFusion adds "front view" and the like to its prompt. So the row is `sds`; `stable_dreamfusion` is the row whose guide
is Stable Diffusion. Kept: gradient w(t) (x_0-prediction error) without a pass back through the guide, noise range, weight
1 - abar, a blob of density to start from, one random training camera per step. No guidance scale: there is no prompt to
exaggerate. Explicit grid in place of a hash grid, no lighting model, white background as in the photographs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import ScoreDistillationSection
from holofusion.config.params import Volume
from holofusion.data.batches import ViewBatch
from holofusion.methods.base import Method, TrainingInputs
from holofusion.methods.guides import DenoiserGuide, Guide
from holofusion.methods.poses import CameraPool
from holofusion.rendering.grids import DenseField, PlainDecoder, voxel_centres
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.training.descent import descend
from holofusion.utils.random import generator_for

POSES = 512  # training cameras that scenes are distilled from
BLOB_DENSITY, BLOB_RADIUS = 5.0, 0.5  # the first shape, before the softplus; radius as a share of the extent


def first_grid(size: int, extent: float, generator: torch.Generator) -> Tensor:
    """A blob of density with random, smooth colours: (1, 4, size, size, size), as `PlainDecoder` reads it."""
    distance = voxel_centres(size, extent).norm(dim=1).reshape(size, size, size) / (BLOB_RADIUS * extent)
    colours = F.interpolate(torch.randn((1, 3, 4, 4, 4), generator=generator), size=(size,) * 3, mode="trilinear")
    return torch.cat([(BLOB_DENSITY * (1 - distance))[None, None] - 3, colours], 1)


def distil_score(
    guide: Guide, cameras: Cameras, volume: Volume, section: ScoreDistillationSection, seed: int
) -> VoxelScene:
    """The scene of one seed, optimised on renders from random ones of the cameras."""
    device, size, decoder = cameras.R.device, section.image_size, PlainDecoder(volume.density_scale)
    grid = nn.Parameter(first_grid(section.resolution, volume.extent, generator_for("coarse", seed)).to(device))
    optimiser = torch.optim.Adam([grid], lr=section.grid_rate, betas=(0.9, 0.99))

    def loss_at(step: int) -> Tensor:
        generator = generator_for("score distillation", seed, step)
        camera = cameras[torch.randint(len(cameras), (section.views,), generator=generator)]
        rays = Rays.through(camera, size).shared_among(1)
        field = DenseField(grid, decoder, volume.extent)
        rendered = render_rays(field, rays, section.coarse_samples, section.importance_samples, generator)
        images = rendered.rgb.reshape(len(camera), size, size, 3).permute(0, 3, 1, 2)
        return guide.error(images, camera, generator) + section.smoothness * roughness(grid)

    for _ in descend(optimiser, section.scene_steps, loss_at):
        pass
    facts = VoxelFacts(
        extent=volume.extent,
        density_scale=volume.density_scale,
        precision=volume.precision,
        coarse_samples=section.coarse_samples,
        importance_samples=section.importance_samples,
        empty_density=None,
    )
    return VoxelScene(grid.detach(), decoder, facts)


def roughness(grid: Tensor) -> Tensor:
    """Mean squared difference of neighbouring voxels of grid (1, C, n, n, n)."""
    return sum((grid.diff(dim=axis).square().mean() for axis in (2, 3, 4)), start=grid.new_zeros(()))


class ScoreDistillation(Method):
    """The guide, trained on the category's images, and the scenes it makes."""

    seed_name = "sds"

    def __init__(self, volume: Volume, sds: ScoreDistillationSection) -> None:
        super().__init__()
        self.volume, self.section = volume, sds
        self.guide = DenoiserGuide(sds, volume.precision)
        self.pool = CameraPool(POSES)
        self.objects_per_batch, self.views_per_object = sds.batch, 1
        self.steps, self.ema, self.checkpoint_every = sds.steps, sds.ema, sds.checkpoint_every

    def prepare(self, inputs: TrainingInputs) -> None:
        """Keep training cameras, from which scenes are rendered."""
        self.pool.fill(inputs.data)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As in `Trainable`."""
        return [{"params": list(self.parameters()), "lr": self.section.learning_rate}]

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The guide's error on noised images of the batch."""
        return {"loss": self.guide.training_error(batch, generator)}

    def field(self, seed: int) -> VoxelScene:
        """The scene of one seed, as a field."""
        self.guide.requires_grad_(False)
        return distil_score(self.guide, self.pool.cameras, self.volume, self.section, seed)

    def sample(self, request: SampleRequest) -> Scene:
        """The scene of one seed."""
        return self.field(request.seed)
