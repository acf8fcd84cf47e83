"""The 2D super-resolution denoiser: sharpens one rendered view, on its own (HoloFusion, stage 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample
from holofusion.networks.unet import UNet
from holofusion.training.precision import autocast


class SuperResolution(nn.Module):
    """Predicts the clean image from a noisy one and the low-resolution render (colour and opacity), joined channel-wise.

    The network adds the detail that the upsampled render lacks; `detail`, its usual deviation, scales input and output
    (after Karras et al. 2022). The U-Net works on 2 x 2 pixel blocks folded into channels.
    """

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings.superresolution
        self.precision = settings.volume.precision
        self.unet = UNet(2, 4 * 7, 4 * 3, self.settings.channels, self.settings.blocks)
        self.unet.to(memory_format=torch.channels_last)
        self.schedule = NoiseSchedule(self.settings.noise_steps, self.settings.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """noisy (B, 3, S, S): images in [-1, 1] noised at t (B,); low (B, 4, s, s): colour in [0, 1] and opacity.

        Returns the clean images (B, 3, S, S) in [-1, 1].
        """
        size = noisy.shape[-1]
        condition = F.interpolate(low * 2 - 1, size=(size, size), mode="bilinear", align_corners=False)
        # detail can only be where the render, grown by one of its pixels, shows the object
        support = F.max_pool2d(low[:, 3:], 3, stride=1, padding=1).gt(0.02).to(low.dtype)
        support = F.interpolate(support, size=(size, size), mode="nearest")
        signal, spread = self.schedule.signal_and_noise(t, noisy)
        deviation = ((signal * self.settings.detail) ** 2 + spread**2).sqrt()
        noisy_detail = support * (noisy - signal * condition[:, :3]) / deviation
        folded = F.pixel_unshuffle(torch.cat([noisy_detail, condition], 1), 2)
        folded = folded.contiguous(memory_format=torch.channels_last)
        with autocast(noisy.device, self.precision):
            found = self.unet(folded, self.schedule.fraction(t).to(noisy.device))
        detail = self.settings.detail * F.pixel_shuffle(found.float().contiguous(), 2)
        return condition[:, :3] + support * detail

    def training_step(self, images: Tensor, low: Tensor, generator: torch.Generator) -> Tensor:
        """Photometric error (a scalar) of the prediction for images (B, 3, S, S) in [0, 1]; gradients reach `low`."""
        clean = images * 2 - 1
        t = torch.randint(self.schedule.steps, (len(images),), generator=generator)
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        return (self(self.schedule.add_noise(clean, noise, t), t, low) - clean).square().mean()

    @torch.no_grad()
    def sharpen(self, low: Tensor, size: int, steps: int, sampler: str, generator: torch.Generator) -> Tensor:
        """One super-resolved image (B, 3, size, size) in [0, 1] per low-resolution render (B, 4, s, s)."""
        noise = torch.randn((len(low), 3, size, size), generator=generator).to(low.device)
        ancestral = generator if sampler == "ddpm" else None
        clean = sample(lambda x, t: self(x, t, low).clamp(-1, 1), self.schedule, noise, steps, ancestral)
        return (clean + 1) / 2
