"""pi-GAN (Chan, Monteiro, Kellnhofer, Wu, Wetzstein, CVPR 2021), written from the paper.

Kept: the mapping network, the FiLM-SIREN radiance field with its initialisation and view-dependent colour, hierarchical
sampling, the progressive CoordConv discriminator with fade-in, non-saturating loss with R1, averaged weights.
Departures: cameras are the photographs' own, not drawn from a prior; both players step together; images are augmented
before the discriminator; no camera regression, no top-k training, no density noise; widths are settings.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.config.baselines import Adversarial, PiGanSection
from holofusion.config.params import Volume
from holofusion.config.section import Section
from holofusion.data.batches import ViewBatch
from holofusion.methods.adversarial import AdversarialMethod
from holofusion.networks.discriminator import Discriminator
from holofusion.networks.siren import FilmMapping, FilmSiren
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays
from holofusion.scenes.base import SampleRequest, prefixed, unprefixed
from holofusion.scenes.implicit import ImplicitScene
from holofusion.training.adversarial import adversarial_losses
from holofusion.utils.random import generator_for


class ConditionedSiren:
    """A `Field`: that of one batch of latents."""

    sees_directions = True
    occupancy = None
    channels = 3

    def __init__(self, siren: FilmSiren, frequency: Tensor, phase: Tensor, extent: float) -> None:
        self.siren, self.frequency, self.phase, self.extent = siren, frequency, phase, extent

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As in `Field`. Without directions the colour means nothing."""
        if directions is None:
            directions = torch.zeros_like(points)
        batched = [part.unflatten(0, (len(self.phase), -1)) for part in (points, directions)]
        density, colour = self.siren(*batched, self.frequency, self.phase)
        return density.flatten(0, 1), colour.flatten(0, 1)


class PiGanFacts(Section):
    """What a scene of pi-GAN needs beside its tensors."""

    volume: Volume
    pigan: PiGanSection


class PiGanScene(ImplicitScene):
    """The field of one latent's frequencies and phases."""

    kind = "pigan"
    Facts: ClassVar = PiGanFacts
    field: ConditionedSiren

    def __init__(self, siren: FilmSiren, frequency: Tensor, phase: Tensor, facts: PiGanFacts) -> None:
        field = ConditionedSiren(siren, frequency, phase, facts.volume.extent)
        super().__init__(field, (facts.pigan.coarse_samples, facts.pigan.importance_samples), phase.device, facts)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        films = {"frequency": self.field.frequency, "phase": self.field.phase}
        return {**films, **prefixed("siren", self.field.siren.state_dict())}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: PiGanFacts) -> PiGanScene:
        """As in `Scene`."""
        siren = make_siren(facts.volume, facts.pigan).to(tensors["phase"].device)
        siren.load_state_dict(unprefixed("siren", tensors))
        return cls(siren, tensors["frequency"], tensors["phase"], facts)


def make_siren(volume: Volume, section: PiGanSection) -> FilmSiren:
    """The field's network, with new weights."""
    return FilmSiren(section.width, section.layers, volume.extent, volume.density_scale)


class PiGan(AdversarialMethod):
    """Generator and discriminator of pi-GAN."""

    seed_name = "pigan"
    betas = (0.0, 0.9)

    def __init__(self, volume: Volume, adversarial: Adversarial, pigan: PiGanSection) -> None:
        super().__init__(adversarial, pigan)
        self.volume, self.section = volume, pigan
        self.mapping = FilmMapping(pigan.latent, pigan.width, pigan.layers + 1, pigan.width)
        self.siren = make_siren(volume, pigan)
        self.discriminator = Discriminator(3, pigan.image_size, adversarial.width, coordinates=True)

    def stage(self, step: int) -> tuple[int, float]:
        """Side of the images at this step, and how far that resolution has faded in.

        Each doubling lasts an equal share of the run; a new one fades in over the first quarter of its share.
        """
        section = self.section
        count = section.doublings + 1
        position = step / section.steps * count
        stage = min(int(position), count - 1)
        fade = 1.0 if stage == 0 else min(1.0, 4 * (position - stage))
        return section.image_size >> (section.doublings - stage), fade

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of both players on the batch's images, and on fakes from the same cameras."""
        section = self.section
        size, fade = self.stage(step)
        real = batch.resized(size)
        z = torch.randn((len(batch.names), section.latent), generator=generator).to(
            real.images.device, non_blocking=True
        )
        frequency, phase = self.mapping(z)
        field = ConditionedSiren(self.siren, frequency, phase, self.volume.extent)
        samples = (section.coarse_samples, section.importance_samples)
        rendered = render_rays(field, Rays.through(real.cameras, size), *samples, generator)
        fake = rendered.image(size)
        images = real.images.flatten(0, 1)
        if fade < 1:
            # reals lose the detail that fakes do not have to show yet
            small = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="nearest")
            images = small + fade * (images - small)
        return adversarial_losses(
            self.discriminator,
            lambda shown: self.discriminator(shown, fade=fade),
            images,
            fake,
            section.r1,
            step,
            self.adversarial,
            generator,
        )

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> PiGanScene:
        """The scene of one seed."""
        z = torch.randn((1, self.section.latent), generator=generator_for("coarse", request.seed))
        frequency, phase = self.mapping(z.to(self.siren.density.weight.device))
        return PiGanScene(self.siren, frequency, phase, PiGanFacts(volume=self.volume, pigan=self.section))
