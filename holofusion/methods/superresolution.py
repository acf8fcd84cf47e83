"""The 2D super-resolution denoiser: sharpens one rendered view, on its own (HoloFusion, stage 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample
from holofusion.networks.unet import UNet


class SuperResolution(nn.Module):
    """Predicts the clean image from a noisy one and the low-resolution render (colour and opacity), joined channel-wise.

    The U-Net works on 2 x 2 pixel blocks folded into channels and adds detail to the upsampled render.
    """

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings.superresolution
        self.unet = UNet(2, 4 * 7, 4 * 3, self.settings.channels, self.settings.blocks)
        self.schedule = NoiseSchedule(self.settings.noise_steps, self.settings.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """noisy (B, 3, S, S) in [-1, 1] plus noise, t (B,), low (B, 4, s, s): colour in [0, 1] and opacity -> clean (B, 3, S, S) in [-1, 1]."""
        size = noisy.shape[-1]
        condition = F.interpolate(low * 2 - 1, size=(size, size), mode="bilinear", align_corners=False)
        folded = F.pixel_unshuffle(torch.cat([noisy, condition], 1), 2).contiguous(memory_format=torch.channels_last)
        detail = self.unet(folded, self.schedule.fraction(t).to(noisy.device))
        return condition[:, :3] + F.pixel_shuffle(detail.contiguous(), 2)

    def training_step(self, images: Tensor, low: Tensor, generator: torch.Generator) -> Tensor:
        """Photometric error (a scalar) of the prediction for images (B, 3, S, S) in [0, 1]; gradients reach `low`."""
        clean = images * 2 - 1
        t = torch.randint(self.schedule.steps, (len(images),), generator=generator)
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        return (self(self.schedule.add_noise(clean, noise, t), t, low) - clean).square().mean()

    @torch.no_grad()
    def sharpen(self, low: Tensor, size: int, steps: int, generator: torch.Generator) -> Tensor:
        """One super-resolved image (B, 3, size, size) in [0, 1] per low-resolution render (B, 4, s, s)."""
        noise = torch.randn((len(low), 3, size, size), generator=generator).to(low.device)
        clean = sample(lambda x, t: self(x, t, low).clamp(-1, 1), self.schedule, noise, steps, generator)
        return (clean + 1) / 2
