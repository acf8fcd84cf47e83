"""Guides of score distillation: 2D diffusion models behind one small interface."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import ScoreDistillationSection
from holofusion.data.batches import ViewBatch
from holofusion.diffusion.process import NoiseSchedule
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.utils.precision import autocast


class Guide(Protocol):
    """What pulls a scene: any 2D diffusion model."""

    def error(self, images: Tensor, cameras: Cameras, generator: torch.Generator) -> Tensor:
        """A scalar whose gradient in images (B, 3, S, S), in [0, 1], is the score distillation gradient."""


class DenoiserGuide(nn.Module):
    """A denoiser of the category's images at `sds.image_size`, told the camera's direction; predicts the clean image."""

    def __init__(self, section: ScoreDistillationSection, precision: str) -> None:
        super().__init__()
        self.section, self.precision = section, precision
        self.unet = UNet(2, 4 * 6, 4 * 3, section.channels, section.blocks, section.image_size // 2, precision)
        self.schedule = NoiseSchedule(section.noise_steps, section.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, cameras: Cameras) -> Tensor:
        """Clean images (B, 3, S, S) in [-1, 1] from noisy ones at t (B,)."""
        alpha, sigma = self.schedule.alpha_and_sigma(t, noisy)
        direction = F.normalize(cameras.centers(), dim=1)[:, :, None, None].expand(-1, -1, *noisy.shape[2:])
        folded = fold(torch.cat([noisy, direction], 1))
        with autocast(noisy.device, self.precision):
            correction = self.unet(folded, self.schedule.fraction(t).to(noisy.device, non_blocking=True))
        # what the network adds is worth most where the noisy image is worth least
        return alpha * noisy + sigma * unfold(correction.float())

    def training_error(self, batch: ViewBatch, generator: torch.Generator) -> Tensor:
        """Mean squared error of what it makes of the batch's images, noised."""
        clean = batch.resized(self.section.image_size).images.flatten(0, 1) * 2 - 1
        t = torch.randint(self.schedule.steps, (len(clean),), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device, non_blocking=True)
        return (self(self.schedule.add_noise(clean, noise, t), t, batch.cameras) - clean).square().mean()

    def error(self, images: Tensor, cameras: Cameras, generator: torch.Generator) -> Tensor:
        """The weight 1 - abar makes the gradient alpha sigma (x - x_0)."""
        x = images * 2 - 1
        t = draw_times(self.section, self.schedule.steps, len(x), generator)
        with torch.no_grad():
            noise = torch.randn(x.shape, generator=generator).to(x.device, non_blocking=True)
            predicted = self(self.schedule.add_noise(x, noise, t), t, cameras).clamp(-1, 1)
            alpha, sigma = self.schedule.alpha_and_sigma(t, x)
        return 0.5 * (alpha * sigma * (x - predicted).square()).sum(1).mean()


def draw_times(section: ScoreDistillationSection, steps: int, count: int, generator: torch.Generator) -> Tensor:
    """Times (count,) in the part of a noise process of `steps` that the section `sds` allows."""
    low, high = round(section.noise_min * steps), round(section.noise_max * steps)
    return torch.randint(low, max(high, low + 1), (count,), generator=generator)
