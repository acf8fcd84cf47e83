"""Score distillation from scratch (DreamFusion, Poole et al. 2022): one radiance field per seed, pulled by a 2D denoiser.

The guide here is our own denoiser of the category's images, trained first; it is told the direction of the camera, where
DreamFusion adds "front view" and the like to its prompt. So the row is `sds`, not Stable-DreamFusion, whose guide is Stable
Diffusion. Kept: gradient w(t) (x_0-prediction error) without a pass back through the guide, noise range, weight 1 - abar,
a blob of density to start from, one random training camera per step. No guidance scale: there is no prompt to
exaggerate. Explicit grid in place of a hash grid, no lighting model, white background as in the photographs.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.data.views import PreparedCategory
from holofusion.diffusion.process import NoiseSchedule
from holofusion.methods.scenes import Views, render_field
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.rendering.grids import sample_grid, voxel_centres
from holofusion.rendering.volume import render_rays
from holofusion.seeds import generator_for
from holofusion.training.batches import ViewBatch
from holofusion.training.precision import autocast

POSES = 512  # training cameras that scenes are distilled from
BLOB_DENSITY, BLOB_RADIUS = 5.0, 0.5  # the first shape, before the softplus; radius as a share of the extent


class Guide(Protocol):
    """What pulls a scene: any 2D diffusion model."""

    def error(self, images: Tensor, cameras: Cameras, generator: torch.Generator) -> Tensor:
        """A scalar whose gradient in images (B, 3, S, S), in [0, 1], is the score distillation gradient."""


class DenoiserGuide(nn.Module):
    """A denoiser of the category's images at `sds.image_size`, told the camera's direction; predicts the clean image."""

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings, self.precision = settings.sds, settings.volume.precision
        self.unet = UNet(2, 4 * 6, 4 * 3, self.settings.channels, self.settings.blocks, self.settings.image_size // 2)
        self.unet.to(memory_format=torch.channels_last)
        self.schedule = NoiseSchedule(self.settings.noise_steps, self.settings.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, cameras: Cameras) -> Tensor:
        """Clean images (B, 3, S, S) in [-1, 1] from noisy ones at t (B,)."""
        signal, spread = self.schedule.signal_and_noise(t, noisy)
        direction = F.normalize(cameras.centers(), dim=1)[:, :, None, None].expand(-1, -1, *noisy.shape[2:])
        folded = fold(torch.cat([noisy, direction], 1)).contiguous(memory_format=torch.channels_last)
        with autocast(noisy.device, self.precision):
            found = self.unet(folded, self.schedule.fraction(t).to(noisy.device))
        # what the network adds is worth most where the noisy image is worth least
        return signal * noisy + spread * unfold(found.float())

    def error(self, images: Tensor, cameras: Cameras, generator: torch.Generator) -> Tensor:
        """The weight 1 - abar makes the gradient signal * noise * (x - x_0)."""
        x = images * 2 - 1
        steps = self.schedule.steps
        t = torch.randint(
            round(self.settings.noise_min * steps),
            round(self.settings.noise_max * steps),
            (len(x),),
            generator=generator,
        )
        with torch.no_grad():
            noise = torch.randn(x.shape, generator=generator).to(x.device)
            predicted = self(self.schedule.add_noise(x, noise, t), t, cameras).clamp(-1, 1)
            signal, spread = self.schedule.signal_and_noise(t, x)
        return 0.5 * (signal * spread * (x - predicted).square()).sum(1).mean()


class ColourField:
    """A grid (1, 4, n, n, n) of density before the softplus and colour before the sigmoid, plus the blob at the start."""

    def __init__(self, grid: Tensor, settings) -> None:
        self.grid, self.extent, self.scale = grid, settings.volume.extent, settings.volume.density_scale

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        raw = sample_grid(self.grid, points, self.extent)
        return self.scale * F.softplus(raw[..., 0]), torch.sigmoid(raw[..., 1:])


def first_grid(settings, generator: torch.Generator) -> Tensor:
    """A blob of density with random, smooth colours."""
    n, extent = settings.sds.resolution, settings.volume.extent
    distance = voxel_centres(n, extent).norm(dim=1).reshape(n, n, n) / (BLOB_RADIUS * extent)
    colours = F.interpolate(torch.randn((1, 3, 4, 4, 4), generator=generator), size=(n, n, n), mode="trilinear")
    return torch.cat([(BLOB_DENSITY * (1 - distance))[None, None] - 3, colours], 1)


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
        rendered = render_rays(ColourField(grid, settings), *camera.rays(size), settings.volume.extent,
                               section.coarse_samples, section.importance_samples, generator)  # fmt: skip
        loss = guide.error(rendered.rgb.transpose(1, 2).unflatten(2, (size, size)), camera, generator)
        loss = loss + section.smoothness * roughness(grid)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return grid.detach()


def roughness(grid: Tensor) -> Tensor:
    """Mean squared difference of neighbouring voxels of grid (1, C, n, n, n)."""
    return sum((grid.diff(dim=axis)).square().mean() for axis in (2, 3, 4))


class ScoreDistillation(nn.Module):
    """The guide, trained on the category's images, and the scenes it makes."""

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings
        self.guide = DenoiserGuide(settings)
        shapes = {"R": (3, 3), "T": (3,), "focal": (2,), "principal": (2,)}
        for name, shape in shapes.items():
            self.register_buffer(f"poses_{name}", torch.zeros(POSES, *shape))
        self.objects_per_batch, self.views_per_object = settings.sds.batch, 1
        self.steps, self.ema, self.checkpoint_every = (
            settings.sds.steps,
            settings.sds.ema,
            settings.sds.checkpoint_every,
        )

    def prepare(self, data: PreparedCategory) -> None:
        """Keep training cameras, from which scenes are rendered."""
        rows = [row for name in data.train for row in data.frames[name]]
        cameras = data.cameras[[rows[i] for i in torch.linspace(0, len(rows) - 1, POSES).round().long().tolist()]]
        for name in ("R", "T", "focal", "principal"):
            getattr(self, f"poses_{name}").copy_(getattr(cameras, name))

    @property
    def cameras(self) -> Cameras:
        return Cameras(self.poses_R, self.poses_T, self.poses_focal, self.poses_principal)

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
        return ColourScene(distil_score(self.guide, self.cameras, self.settings, seed), self.settings)


class ColourScene:
    """One grid of density and colour."""

    def __init__(self, grid: Tensor, settings) -> None:
        self.field, self.settings = ColourField(grid, settings), settings

    def render(self, cameras: Cameras, size: int) -> Views:
        return render_field(self.field, cameras, size, self.settings, self.settings.sds)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field(points[None])[0][0]

    def tensors(self) -> dict[str, Tensor]:
        return {"grid": self.field.grid}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], settings) -> ColourScene:
        return cls(tensors["grid"], settings)


ScoreDistillation.scene_class = ColourScene
