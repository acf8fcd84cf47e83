"""pi-GAN (Chan, Monteiro, Kellnhofer, Wu, Wetzstein, CVPR 2021), written from the paper.

Kept: the mapping network, the FiLM-SIREN radiance field with its initialisation and view-dependent colour, hierarchical
sampling, the progressive CoordConv discriminator with fade-in, non-saturating loss with R1, averaged weights.
Departures: cameras are the photographs' own, not drawn from a prior; both players step together; images are augmented
before the discriminator; no camera regression, no top-k training, no density noise; widths are settings.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.data.batches import ViewBatch
from holofusion.networks.discriminator import Discriminator
from holofusion.networks.siren import FilmMapping, FilmSiren
from holofusion.rendering.volume import render_rays
from holofusion.scenes.voxel import Views, prefixed, render_field, unprefixed
from holofusion.training.adversarial import AdversarialMethod, adversarial_losses
from holofusion.utils.random import generator_for


class ConditionedSiren:
    """The field of one batch of latents: callable on points and directions (B, N, 3)."""

    sees_directions = True

    def __init__(self, siren: FilmSiren, frequency: Tensor, phase: Tensor) -> None:
        self.siren, self.frequency, self.phase = siren, frequency, phase

    def __call__(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        return self.siren(points, directions, self.frequency, self.phase)


class PiGanScene:
    """One latent's field. Its colour depends on the view direction: nothing forces one identity from all sides."""

    def __init__(self, siren: FilmSiren, frequency: Tensor, phase: Tensor, settings) -> None:
        self.field, self.settings = ConditionedSiren(siren, frequency, phase), settings

    def render(self, cameras: Cameras, size: int) -> Views:
        section = self.settings.pigan
        samples = (section.coarse_samples, section.importance_samples)
        return render_field(self.field, cameras, size, self.settings, samples)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field(points[None], torch.zeros_like(points)[None])[0][0]

    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface, as seen from straight in front of it: along the
        direction in which density rises, which is minus the outward normal."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            density = self.field(points[None], torch.zeros_like(points)[None])[0]
            inwards = torch.autograd.grad(density.sum(), points)[0]
        with torch.no_grad():
            return self.field(points[None], F.normalize(inwards, dim=1)[None])[1][0]

    def tensors(self) -> dict[str, Tensor]:
        films = {"frequency": self.field.frequency, "phase": self.field.phase}
        return {**films, **prefixed("siren", self.field.siren.state_dict())}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], settings) -> PiGanScene:
        siren = make_siren(settings).to(tensors["phase"].device)
        siren.load_state_dict(unprefixed("siren", tensors))
        return cls(siren, tensors["frequency"], tensors["phase"], settings)


def make_siren(settings) -> FilmSiren:
    section = settings.pigan
    return FilmSiren(section.width, section.layers, settings.volume.extent, settings.volume.density_scale)


class PiGan(AdversarialMethod):
    """Generator and discriminator of pi-GAN."""

    scene_class = PiGanScene
    betas = (0.0, 0.9)

    def __init__(self, settings) -> None:
        section = settings.pigan
        super().__init__(settings, section)
        self.mapping = FilmMapping(section.latent, section.width, section.layers + 1, section.width)
        self.siren = make_siren(settings)
        largest = section.image_size
        self.discriminator = Discriminator(3, largest, settings.adversarial.width, coordinates=True)

    def stage(self, step: int) -> tuple[int, float]:
        """Side of the images at this step, and how far that resolution has faded in.

        Each doubling lasts an equal share of the run; a new one fades in over the first quarter of its share.
        """
        section = self.settings.pigan
        count = section.doublings + 1
        position = step / section.steps * count
        stage = min(int(position), count - 1)
        fade = 1.0 if stage == 0 else min(1.0, 4 * (position - stage))
        return section.image_size >> (section.doublings - stage), fade

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of both players on the batch's images, and on fakes from the same cameras."""
        section = self.settings.pigan
        size, fade = self.stage(step)
        real = batch.resized(size)
        z = torch.randn((len(batch.names), section.latent), generator=generator).to(real.images.device)
        field = ConditionedSiren(self.siren, *self.mapping(z))
        rendered = render_rays(
            field,
            *real.cameras.rays(size),
            self.settings.volume.extent,
            section.coarse_samples,
            section.importance_samples,
            generator,
        )
        fake = rendered.image(size)
        real = real.images.flatten(0, 1)
        if fade < 1:
            # reals lose the detail that fakes are not yet judged by
            small = F.interpolate(F.avg_pool2d(real, 2), scale_factor=2, mode="nearest")
            real = small + fade * (real - small)
        return adversarial_losses(
            self.discriminator,
            lambda images: self.discriminator(images, fade=fade),
            real,
            fake,
            section.r1,
            step,
            self.settings.adversarial,
            generator,
        )

    @torch.no_grad()
    def sample(self, seed: int) -> PiGanScene:
        """The scene of one seed."""
        z = torch.randn((1, self.settings.pigan.latent), generator=generator_for("coarse", seed))
        return PiGanScene(self.siren, *self.mapping(z.to(self.siren.density.weight.device)), self.settings)
