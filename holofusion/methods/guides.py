"""What pulls a scene in score distillation: a 2D diffusion model behind one small interface."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.diffusion.process import NoiseSchedule
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.utils.precision import autocast


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
        t = draw_times(self.settings, self.schedule.steps, len(x), generator)
        with torch.no_grad():
            noise = torch.randn(x.shape, generator=generator).to(x.device)
            predicted = self(self.schedule.add_noise(x, noise, t), t, cameras).clamp(-1, 1)
            signal, spread = self.schedule.signal_and_noise(t, x)
        return 0.5 * (signal * spread * (x - predicted).square()).sum(1).mean()


def draw_times(settings, steps: int, count: int, generator: torch.Generator) -> Tensor:
    """Times (count,) in the part of a noise process of `steps` that the section `sds` allows."""
    low, high = round(settings.noise_min * steps), round(settings.noise_max * steps)
    return torch.randint(low, max(high, low + 1), (count,), generator=generator)
