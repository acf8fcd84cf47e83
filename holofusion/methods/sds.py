"""Score distillation from scratch (DreamFusion, Poole et al. 2022): one radiance field per seed, pulled by a 2D denoiser.

The guide here is our own denoiser of the category's images, trained first; it is told the direction of the camera, where
DreamFusion adds "front view" and the like to its prompt. So the row is `sds`; `stable_dreamfusion` is the row whose guide
is Stable Diffusion. Kept: gradient w(t) (x_0-prediction error) without a pass back through the guide, noise range, weight
1 - abar, a blob of density to start from, one random training camera per step. No guidance scale: there is no prompt to
exaggerate. Explicit grid in place of a hash grid, no lighting model, white background as in the photographs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.data.batches import ViewBatch
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.guides import DenoiserGuide, Guide
from holofusion.methods.poses import CameraPool
from holofusion.rendering.grids import ColourField, voxel_centres
from holofusion.rendering.volume import render_rays
from holofusion.scenes.voxel import Views, render_field
from holofusion.utils.random import generator_for

POSES = 512  # training cameras that scenes are distilled from
BLOB_DENSITY, BLOB_RADIUS = 5.0, 0.5  # the first shape, before the softplus; radius as a share of the extent


def first_grid(settings, generator: torch.Generator) -> Tensor:
    """A blob of density with random, smooth colours."""
    n, extent = settings.sds.resolution, settings.volume.extent
    distance = voxel_centres(n, extent).norm(dim=1).reshape(n, n, n) / (BLOB_RADIUS * extent)
    colours = F.interpolate(torch.randn((1, 3, 4, 4, 4), generator=generator), size=(n, n, n), mode="trilinear")
    return torch.cat([(BLOB_DENSITY * (1 - distance))[None, None] - 3, colours], 1)


def colour_field(grid: Tensor, settings) -> ColourField:
    return ColourField(grid, settings.volume.extent, settings.volume.density_scale)


def distil_score(guide: Guide, cameras: Cameras, settings, seed: int) -> Tensor:
    """The grid (1, 4, n, n, n) of one seed, optimised on renders from random ones of the cameras."""
    section, device = settings.sds, cameras.R.device
    grid = nn.Parameter(first_grid(settings, generator_for("coarse", seed)).to(device))
    optimiser = torch.optim.Adam([grid], lr=section.grid_rate, betas=(0.9, 0.99))
    size = section.image_size
    for step in range(section.scene_steps):
        for group in optimiser.param_groups:
            group["lr"] = section.grid_rate * min(1.0, 2.0 * (1 - step / section.scene_steps))
        generator = generator_for("score distillation", seed, step)
        camera = cameras[torch.randint(len(cameras), (section.views,), generator=generator)]
        rendered = render_rays(
            colour_field(grid, settings),
            *camera.rays(size),
            settings.volume.extent,
            section.coarse_samples,
            section.importance_samples,
            generator,
        )
        loss = guide.error(rendered.image(size), camera, generator)
        loss = loss + section.smoothness * roughness(grid)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return grid.detach()


def roughness(grid: Tensor) -> Tensor:
    """Mean squared difference of neighbouring voxels of grid (1, C, n, n, n)."""
    return sum((grid.diff(dim=axis)).square().mean() for axis in (2, 3, 4))


class ColourScene:
    """One grid of density and colour."""

    def __init__(self, grid: Tensor, settings) -> None:
        self.field, self.settings = colour_field(grid, settings), settings

    def render(self, cameras: Cameras, size: int) -> Views:
        section = self.settings.sds
        samples = (section.coarse_samples, section.importance_samples)
        return render_field(self.field, cameras, size, self.settings, samples)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field(points[None])[0][0]

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface."""
        return self.field(points[None])[1][0]

    def tensors(self) -> dict[str, Tensor]:
        return {"grid": self.field.grid}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], settings) -> ColourScene:
        return cls(tensors["grid"], settings)


class ScoreDistillation(nn.Module):
    """The guide, trained on the category's images, and the scenes it makes."""

    scene_class = ColourScene

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings
        self.guide = DenoiserGuide(settings)
        self.pool = CameraPool(POSES)
        self.objects_per_batch, self.views_per_object = settings.sds.batch, 1
        self.steps, self.ema = settings.sds.steps, settings.sds.ema
        self.checkpoint_every = settings.sds.checkpoint_every

    def prepare(self, data: PreparedCategory) -> None:
        """Keep training cameras, from which scenes are rendered."""
        self.pool.fill(data)

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.parameters()), "lr": self.settings.sds.learning_rate}]

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The guide's error on noised images of the batch."""
        clean = batch.resized(self.settings.sds.image_size).images.flatten(0, 1) * 2 - 1
        schedule = self.guide.schedule
        t = torch.randint(schedule.steps, (len(clean),), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        return {"loss": (self.guide(schedule.add_noise(clean, noise, t), t, batch.cameras) - clean).square().mean()}

    def sample(self, seed: int) -> ColourScene:
        """The scene of one seed."""
        self.guide.requires_grad_(False)
        return ColourScene(distil_score(self.guide, self.pool.cameras, self.settings, seed), self.settings)
