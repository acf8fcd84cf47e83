"""The 2D super-resolution denoiser of HoloFusion's stage 1, and the scenes whose views it adds detail to, one by one."""

from __future__ import annotations

import hashlib
import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.params import SuperResolutionSection
from holofusion.config.sampling import SuperResolutionSampling
from holofusion.config.section import Section
from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample
from holofusion.meshing.mesh import Mesh
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.rendering.views import Views
from holofusion.scenes.base import Scene, prefixed, unprefixed
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.utils.precision import autocast
from holofusion.utils.random import generator_for


class SuperResolution(nn.Module):
    """Predicts the clean image from a noisy one and the low-resolution render (colour and opacity), joined channel-wise.

    The network corrects a linear estimate of the detail that the upsampled render lacks. That estimate (Wiener's, for detail
    of deviation `detail`) vanishes in strong noise and keeps everything in weak noise; fed to the network in place of the
    noisy image, it spares it from having to learn, per noise level, how much to trust its input.
    It takes images of any size: training shows it crops, sampling the window around the object.
    """

    def __init__(self, section: SuperResolutionSection, precision: str) -> None:
        super().__init__()
        self.section, self.precision = section, precision
        self.unet = UNet(2, 4 * 7, 4 * 3, section.channels, section.blocks, precision=precision)
        self.schedule = NoiseSchedule(section.noise_steps, section.schedule_shift)

    def forward(self, noisy: Tensor, t: Tensor, low: Tensor) -> Tensor:
        """noisy (B, 3, H, W): images in [-1, 1] noised at t (B,); low (B, 4, h, w): colour in [0, 1] and opacity.

        Returns the clean images (B, 3, H, W) in [-1, 1].
        """
        size = noisy.shape[2:]
        condition = F.interpolate(low * 2 - 1, size=size, mode="bilinear", align_corners=False)
        support = F.interpolate(support_of(low).to(low.dtype), size=size, mode="nearest")
        alpha, sigma = self.schedule.alpha_and_sigma(t, noisy)
        detail_std = alpha * self.section.detail
        estimate = support * (noisy - alpha * condition[:, :3]) * detail_std / (detail_std**2 + sigma**2)
        folded = fold(torch.cat([estimate, condition], 1))
        with autocast(noisy.device, self.precision):
            correction = self.unet(folded, self.schedule.fraction(t).to(noisy.device, non_blocking=True))
        return condition[:, :3] + support * self.section.detail * (estimate + unfold(correction.float()))

    def training_step(self, images: Tensor, low: Tensor, generator: torch.Generator) -> Tensor:
        """Photometric error (a scalar) of the prediction for images (B, 3, S, S) in [0, 1]; gradients reach `low`.

        Each image is noised at `draws` levels: a render costs as much as several predictions from it.
        """
        clean, low = (part.repeat(self.section.draws, 1, 1, 1) for part in (images * 2 - 1, low))
        t = torch.randint(self.schedule.steps, (len(clean),), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device, non_blocking=True)
        return (self(self.schedule.add_noise(clean, noise, t), t, low) - clean).square().mean()

    @torch.no_grad()
    def superresolve(
        self, low: Tensor, size: int, section: SuperResolutionSampling, generator: torch.Generator
    ) -> Tensor:
        """One super-resolved image (B, 3, size, size) in [0, 1] per low-resolution render (B, 4, s, s).

        section: `steps`, `sampler` and `end`, the share of the noise steps at which the last prediction is made. Only the
        window around the object is worked on, as in training's crops; outside, the image is the render's.
        """
        image = F.interpolate(low[:, :3], size=(size, size), mode="bilinear", align_corners=False)
        if not support_of(low).any():
            return image
        inside_low, inside = self.windows(low, size)
        low = low[inside_low]
        noise = torch.randn(image[inside].shape, generator=generator)
        ancestral = generator if section.sampler == "ddpm" else None
        clean = sample(
            lambda x, t: self(x, t, low).clamp(-1, 1),
            self.schedule,
            noise.to(low.device),
            section.steps,
            ancestral,
            section.end,
        )
        image[inside] = (clean + 1) / 2
        return image

    def windows(self, low: Tensor, size: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where renders (B, 4, s, s) show the object, as an index of them and as one of images (B, C, size, size).

        The window is of a size that the U-Net can halve.
        """
        divisor, factor = 2 ** len(self.section.channels), size // low.shape[-1]
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


class SuperResolvedFacts(Section):
    """What a super-resolved scene needs beside its tensors."""

    coarse: VoxelFacts
    superresolution: SuperResolutionSection
    superresolution_sampling: SuperResolutionSampling
    seed: int = Field(description="the scene's seed, which the noise of its views comes from", ge=0)


class SuperResolvedScene(Scene):
    """A coarse scene whose views are super-resolved one by one: not one 3D object, but what super-resolution alone gives."""

    kind = "superresolved"
    Facts: ClassVar = SuperResolvedFacts

    def __init__(self, coarse: VoxelScene, network: SuperResolution, facts: SuperResolvedFacts) -> None:
        self.coarse, self.network, self.facts = coarse, network.eval(), facts

    @property
    def device(self) -> torch.device:
        return self.coarse.field.grid.device

    def render_low(self, cameras: Cameras) -> Tensor:
        """Colour and opacity (B, 4, s, s) of the coarse scene at super-resolution's input size."""
        views = self.coarse.render(cameras, self.facts.superresolution.low_size)
        return torch.cat([views.rgb, views.alpha], 1)

    def render(self, cameras: Cameras, size: int) -> Views:
        """Super-resolved views. The noise of a view comes from the scene's seed and its camera alone."""
        coarse = self.coarse.render(cameras, size)
        images = []
        for index in range(len(cameras)):
            generator = generator_for("sharpen", self.facts.seed, camera_digest(cameras[index]))
            images.append(self.hypotheses(cameras[index], size, 1, generator))
        return Views(torch.cat(images), coarse.alpha, coarse.depth)

    def hypotheses(self, camera: Cameras, size: int, count: int, generator: torch.Generator) -> Tensor:
        """`count` independent super-resolved images (count, 3, size, size) of one camera."""
        low = self.render_low(camera).expand(count, -1, -1, -1)
        return self.network.superresolve(low, size, self.facts.superresolution_sampling, generator)

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh:
        """The coarse scene's, colours too: super-resolved views share no surface that could be painted."""
        return self.coarse.surface(resolution, level, cameras)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        return self.coarse.tensors() | prefixed("superresolution", self.network.state_dict())

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: SuperResolvedFacts) -> SuperResolvedScene:
        """As in `Scene`."""
        network = SuperResolution(facts.superresolution, facts.coarse.precision)
        network.load_state_dict(unprefixed("superresolution", tensors))
        coarse = VoxelScene.from_tensors(tensors, facts.coarse)
        return cls(coarse, network.to(tensors["grid"].device), facts)


def camera_digest(camera: Cameras) -> str:
    """A name of one camera by its numbers, the same on any device."""
    parts = (camera.R, camera.T, camera.focal, camera.principal)
    return hashlib.sha256(b"".join(part.float().cpu().numpy().tobytes() for part in parts)).hexdigest()[:16]
