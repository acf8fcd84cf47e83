"""GRAF (Schwarz, Liao, Niemeyer, Geiger, NeurIPS 2020), written from the paper and shrunk.

Kept: a conditional NeRF in which the code of shape joins the encoded position and that of appearance the direction at the
colour head, patches of rays on a regular lattice with random shift and scale, the schedule of the smallest scale, real
patches sampled bilinearly by the same kind of lattice, poses of fakes that are not those of the real patches, a discriminator
that is not told the scale, non-saturating loss with R1, averaged weights.
Departures: cameras are drawn from the photographs', with their own intrinsics, not from a prior; the discriminator is the
residual one of the other methods, without spectral and instance norm (a plain one as small as this told nothing apart with
spectral norm, in hundreds of steps); density is a softplus and starts nearly empty; both players step together, with Adam;
patches are augmented before the discriminator; no density noise; the schedule counts shares of the run; sizes are settings.
The row `graf_whole` is the same with whole images in place of patches.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import Adversarial, GrafSection
from holofusion.config.params import Volume
from holofusion.config.section import Section
from holofusion.data.batches import ViewBatch
from holofusion.methods.adversarial import AdversarialMethod
from holofusion.methods.base import TrainingInputs
from holofusion.methods.poses import CameraPool
from holofusion.networks.conditional import ConditionalField
from holofusion.networks.discriminator import Discriminator
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays
from holofusion.scenes.base import SampleRequest, prefixed, unprefixed
from holofusion.scenes.implicit import ImplicitScene
from holofusion.training.adversarial import adversarial_losses
from holofusion.utils.random import generator_for

POSES = 1024  # training cameras that fakes are seen from
RUN = 200_000  # published iterations that a run of any length stands for: until the last change of their step size
EVERY, FALL = 1000, 3 * 0.0025  # the smallest scale falls by exp(-FALL) every so many of these


class CodedField:
    """A `Field`: that of one batch of codes (B, code) of shape and appearance."""

    sees_directions = True
    occupancy = None
    channels = 3

    def __init__(self, network: ConditionalField, shape: Tensor, appearance: Tensor, extent: float) -> None:
        self.network, self.shape, self.appearance, self.extent = network, shape, appearance, extent

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As in `Field`. Without directions the colour means nothing."""
        if directions is None:
            directions = torch.zeros_like(points)
        batched = [part.unflatten(0, (len(self.shape), -1)) for part in (points, directions)]
        density, colour = self.network(*batched, self.shape, self.appearance)
        return density.flatten(0, 1), colour.flatten(0, 1)


class GrafFacts(Section):
    """What a scene of GRAF needs beside its tensors."""

    volume: Volume
    graf: GrafSection


class GrafScene(ImplicitScene):
    """The field of one code of shape and one of appearance, (1, code) each."""

    kind = "graf"
    Facts: ClassVar = GrafFacts
    field: CodedField

    def __init__(self, network: ConditionalField, shape: Tensor, appearance: Tensor, facts: GrafFacts) -> None:
        field = CodedField(network, shape, appearance, facts.volume.extent)
        super().__init__(field, (facts.graf.samples, 0), shape.device, facts)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        codes = {"shape": self.field.shape, "appearance": self.field.appearance}
        return {**codes, **prefixed("network", self.field.network.state_dict())}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: GrafFacts) -> GrafScene:
        """As in `Scene`."""
        network = make_network(facts.volume, facts.graf).to(tensors["shape"].device)
        network.load_state_dict(unprefixed("network", tensors))
        return cls(network, tensors["shape"], tensors["appearance"], facts)


def make_network(volume: Volume, section: GrafSection) -> ConditionalField:
    """The field's network, with new weights."""
    bands = (section.position_bands, section.direction_bands)
    return ConditionalField(
        section.latent // 2, section.width, section.layers, bands, volume.extent, volume.density_scale
    )


class Graf(AdversarialMethod):
    """Generator and discriminator of GRAF."""

    seed_name = "graf"

    def __init__(self, volume: Volume, adversarial: Adversarial, graf: GrafSection) -> None:
        super().__init__(adversarial, graf)
        self.volume, self.section = volume, graf
        self.network = make_network(volume, graf)
        self.discriminator = Discriminator(3, graf.patch, adversarial.width)
        self.pool = CameraPool(POSES)

    def prepare(self, inputs: TrainingInputs) -> None:
        """Keep the training cameras, which fakes are seen from."""
        self.pool.fill(inputs.data)

    def smallest_scale(self, step: int) -> float:
        """The least share of the picture's side that a patch spans at this step, by the published schedule."""
        section = self.section
        fallen = math.exp(-FALL * (step * RUN // section.steps // EVERY))
        return min(section.scale_start, max(section.scale_end, fallen))

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of both players on patches of the batch's images, and on fake ones from other cameras."""
        section, count = self.section, len(batch.names)
        images = batch.resized(section.image_size).images.flatten(0, 1)
        smallest = self.smallest_scale(step)
        real = sample_patches(images, *random_lattices(count, smallest, generator), section.patch)
        z = torch.randn((count, section.latent), generator=generator).to(images.device, non_blocking=True)
        seen = self.pool.cameras[torch.randint(POSES, (count,), generator=generator)]
        cameras = patch_cameras(seen, *random_lattices(count, smallest, generator))
        shape, appearance = z.chunk(2, 1)
        field = CodedField(self.network, shape, appearance, self.volume.extent)
        rendered = render_rays(field, Rays.through(cameras, section.patch), section.samples, 0, generator)
        return adversarial_losses(
            self.discriminator,
            self.discriminator,
            real,
            rendered.image(section.patch),
            section.r1,
            step,
            self.adversarial,
            generator,
        )

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> GrafScene:
        """The scene of one seed."""
        z = torch.randn((1, self.section.latent), generator=generator_for("coarse", request.seed))
        shape, appearance = z.to(self.pool.R.device).chunk(2, 1)
        return GrafScene(self.network, shape, appearance, GrafFacts(volume=self.volume, graf=self.section))


def random_lattices(count: int, smallest: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scales (count,) in [smallest, 1], and shifts (count, 2) that keep a lattice of that scale within the picture.

    The picture spans [-1, 1]; a shift is to the right and downwards.
    """
    scale = smallest + (1 - smallest) * torch.rand(count, generator=generator)
    return scale, (1 - scale)[:, None] * (2 * torch.rand((count, 2), generator=generator) - 1)


def patch_cameras(cameras: Cameras, scale: Tensor, shift: Tensor) -> Cameras:
    """Cameras whose whole picture is that patch of the given cameras' pictures: their rays are those of the lattice."""
    scale, shift = (part.to(cameras.R.device, non_blocking=True) for part in (scale[:, None], shift))
    return Cameras(cameras.R, cameras.T, cameras.focal / scale, (cameras.principal + shift) / scale)


def sample_patches(images: Tensor, scale: Tensor, shift: Tensor, size: int) -> Tensor:
    """Patches (B, C, size, size) of images (B, C, S, S), bilinear at the points of the lattices."""
    middles = (2 * torch.arange(size) + 1) / size - 1
    rows, columns = torch.meshgrid(middles, middles, indexing="ij")
    places = scale[:, None, None, None] * torch.stack([columns, rows], -1) + shift[:, None, None]
    places = places.to(images.device, non_blocking=True)
    return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)
