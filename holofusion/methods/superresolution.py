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

    The network estimates the detail that the upsampled render lacks. Its input and output are scaled so that both have
    unit deviation at every noise level (preconditioning of Karras et al. 2022, for detail of deviation `detail`): an
    untrained network is already the best linear denoiser. The U-Net works on 2 x 2 pixel blocks folded into channels.
    """

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings.superresolution
        self.unet = UNet(2, 4 * 7, 4 * 3, self.settings.channels, self.settings.blocks)
        self.schedule = NoiseSchedule(self.settings.noise_steps, self.settings.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """noisy (B, 3, S, S): images in [-1, 1] noised at t (B,); low (B, 4, s, s): colour in [0, 1] and opacity.

        Returns the clean images (B, 3, S, S) in [-1, 1].
        """
        size = noisy.shape[-1]
        condition = F.interpolate(low * 2 - 1, size=(size, size), mode="bilinear", align_corners=False)
        signal, spread = self.schedule.signal_and_noise(t, noisy)
        deviation = ((signal * self.settings.detail) ** 2 + spread**2).sqrt()
        detail = noisy - signal * condition[:, :3]
        joined = torch.cat([detail / deviation, condition], 1)
        folded = F.pixel_unshuffle(joined, 2).contiguous(memory_format=torch.channels_last)
        estimate = F.pixel_shuffle(self.unet(folded, self.schedule.fraction(t).to(noisy.device)).contiguous(), 2)
        kept = signal * self.settings.detail**2 / deviation**2
        added = spread * self.settings.detail / deviation
        return condition[:, :3] + kept * detail + added * estimate

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
