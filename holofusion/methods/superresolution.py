"""The 2D super-resolution denoiser: sharpens one rendered view, on its own (HoloFusion, stage 1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.utils.precision import autocast


class SuperResolution(nn.Module):
    """Predicts the clean image from a noisy one and the low-resolution render (colour and opacity), joined channel-wise.

    The network corrects a linear estimate of the detail that the upsampled render lacks. That estimate (Wiener's, for detail
    of deviation `detail`) vanishes in strong noise and keeps everything in weak noise; fed to the network in place of the
    noisy image, it spares it from having to learn, per noise level, how much to trust its input.
    It takes images of any size: training shows it crops, sampling the window around the object.
    """

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings.superresolution
        self.precision = settings.volume.precision
        self.unet = UNet(2, 4 * 7, 4 * 3, self.settings.channels, self.settings.blocks)
        self.unet.to(memory_format=torch.channels_last)
        self.schedule = NoiseSchedule(self.settings.noise_steps, self.settings.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """noisy (B, 3, H, W): images in [-1, 1] noised at t (B,); low (B, 4, h, w): colour in [0, 1] and opacity.

        Returns the clean images (B, 3, H, W) in [-1, 1].
        """
        size = noisy.shape[2:]
        condition = F.interpolate(low * 2 - 1, size=size, mode="bilinear", align_corners=False)
        support = F.interpolate(support_of(low).to(low.dtype), size=size, mode="nearest")
        signal, spread = self.schedule.signal_and_noise(t, noisy)
        usual = signal * self.settings.detail
        estimate = support * (noisy - signal * condition[:, :3]) * usual / (usual**2 + spread**2)
        folded = fold(torch.cat([estimate, condition], 1)).contiguous(memory_format=torch.channels_last)
        with autocast(noisy.device, self.precision):
            found = self.unet(folded, self.schedule.fraction(t).to(noisy.device))
        return condition[:, :3] + support * self.settings.detail * (estimate + unfold(found.float()))

    def training_step(self, images: Tensor, low: Tensor, generator: torch.Generator) -> Tensor:
        """Photometric error (a scalar) of the prediction for images (B, 3, S, S) in [0, 1]; gradients reach `low`.

        Each image is noised at `draws` levels: a render costs as much as several predictions from it.
        """
        clean, low = (part.repeat(self.settings.draws, 1, 1, 1) for part in (images * 2 - 1, low))
        t = torch.randint(self.schedule.steps, (len(clean),), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        return (self(self.schedule.add_noise(clean, noise, t), t, low) - clean).square().mean()

    @torch.no_grad()
    def sharpen(self, low: Tensor, size: int, sharpening, generator: torch.Generator) -> Tensor:
        """One super-resolved image (B, 3, size, size) in [0, 1] per low-resolution render (B, 4, s, s).

        sharpening: section with `steps`, `sampler` and `end`, the share of the noise at which the last prediction is made.

        Only the window around the object is worked on, as in training's crops; outside, the image is the render's.
        """
        image = F.interpolate(low[:, :3], size=(size, size), mode="bilinear", align_corners=False)
        if not support_of(low).any():
            return image
        inside_low, inside = self.windows(low, size)
        low = low[inside_low]
        noise = torch.randn(image[inside].shape, generator=generator)
        ancestral = generator if sharpening.sampler == "ddpm" else None
        clean = sample(
            lambda x, t: self(x, t, low).clamp(-1, 1),
            self.schedule,
            noise.to(low.device),
            sharpening.steps,
            ancestral,
            sharpening.end,
        )
        image[inside] = (clean + 1) / 2
        return image

    def windows(self, low: Tensor, size: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where renders (B, 4, s, s) show the object, as an index of them and as one of images (B, C, size, size).

        The window is of a size that the U-Net can halve.
        """
        divisor, factor = 2 ** len(self.settings.channels), size // low.shape[-1]
        shown = support_of(low).amax((0, 1))
        sides = [_stretch(shown.any(axis), divisor // math.gcd(divisor, factor)) for axis in (1, 0)]
        scaled = [slice(factor * side.start, factor * side.stop) for side in sides]
        return (slice(None), slice(None), *sides), (slice(None), slice(None), *scaled)


def support_of(low: Tensor) -> Tensor:
    """Where detail can be (B, 1, s, s) bool: pixels of the render (B, 4, s, s) that show the object, and their neighbours."""
    return F.max_pool2d(low[:, 3:], 3, stride=1, padding=1) > 0.02


def _stretch(line: Tensor, multiple: int) -> slice:
    """The stretch of a bool line (s,) that holds every True, widened to whole multiples, two at least.

    With one, the coarsest level would be a single pixel, which group norm refuses.
    """
    inside = line.nonzero().flatten()
    last = max(1, int(inside[-1]) // multiple)
    first = min(last - 1, int(inside[0]) // multiple)
    return slice(first * multiple, (last + 1) * multiple)
