"""EG3D (Chan, Lin, Chan, Nagano et al., CVPR 2022), written from the paper.

Kept: a StyleGAN2 backbone that makes tri-planes, averaged plane features, a small decoder without view direction, volume
rendering of a feature image at low resolution whose first three channels are the raw colours, a super-resolution module
driven by the style, dual discrimination, a camera-conditioned discriminator, optional pose conditioning of the generator
with its swap schedule, density regularisation, non-saturating loss with R1, averaged weights.
Departures: bilinear resampling; differentiable augmentation in place of ADA; both players step together; the camera
label is rotation, centre, focal length and principal point (16 numbers); sizes are settings.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import Adversarial, EG3DSection
from holofusion.config.params import Volume
from holofusion.config.section import Section
from holofusion.data.batches import ViewBatch
from holofusion.meshing.mesh import Mesh
from holofusion.meshing.surface import surface_mesh
from holofusion.methods.adversarial import AdversarialMethod
from holofusion.methods.base import TrainingInputs
from holofusion.methods.poses import CameraPool
from holofusion.networks.discriminator import Discriminator
from holofusion.networks.style import EqualLinear, MappingNetwork, ModulatedConv, StyleBackbone, StyledLayer
from holofusion.networks.triplane import sample_planes
from holofusion.rendering.rays import Rays
from holofusion.rendering.views import Views, render_field
from holofusion.rendering.volume import render_rays
from holofusion.scenes.base import SampleRequest, Scene, prefixed, unprefixed
from holofusion.training.adversarial import adversarial_losses
from holofusion.utils.random import generator_for

LABEL = 16  # numbers that describe a camera
DECODER_WIDTH = 32
POSES = 64  # training cameras kept for pose conditioning at sampling time
DENSITY_EVERY, DENSITY_POINTS, DENSITY_SHIFT = 4, 1000, 0.004  # density regularisation, as published


def camera_label(cameras: Cameras) -> Tensor:
    """Rotation, centre, focal length and principal point of every camera: (B, 16)."""
    return torch.cat([cameras.R.flatten(1), cameras.centers(), cameras.focal, cameras.principal], 1)


class PlaneDecoder(nn.Module):
    """Plane features (B, N, C) -> density (B, N) per world unit and features (B, N, channels) whose first three are colour."""

    def __init__(self, features: int, width: int, channels: int, density_scale: float) -> None:
        super().__init__()
        self.hidden, self.out = EqualLinear(features, width), EqualLinear(width, 1 + channels)
        self.density_scale = density_scale

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.out(F.softplus(self.hidden(features)))
        # sigmoid widened a little, so that pure black and white are reached
        return self.density_scale * F.softplus(raw[..., 0] - 1), torch.sigmoid(raw[..., 1:]) * 1.002 - 0.001


class TriPlaneField:
    """A `Field`: that of a batch of planes (B, 3, C, n, n). channels: those of the decoder's features."""

    sees_directions = False
    occupancy = None

    def __init__(self, planes: Tensor, decoder: PlaneDecoder, extent: float, channels: int) -> None:
        self.planes, self.decoder, self.extent, self.channels = planes, decoder, extent, channels

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As in `Field`."""
        batched = points.unflatten(0, (len(self.planes), -1))
        density, features = self.decoder(sample_planes(self.planes, batched, self.extent).mean(1))
        return density.flatten(0, 1), features.flatten(0, 1)


class Upsampler(nn.Module):
    """The super-resolution module: feature images (B, channels, s, s) -> RGB (B, 3, 4 s, 4 s), in two styled blocks."""

    def __init__(self, channels: int, width: int, latent: int) -> None:
        super().__init__()
        self.blocks, self.heads = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in ((channels, width), (width, width // 2)):
            self.blocks.append(
                nn.ModuleList(
                    [
                        StyledLayer(inputs, outputs, latent, upsample=True, noise=False),
                        StyledLayer(outputs, outputs, latent, upsample=False, noise=False),
                    ]
                )
            )
            self.heads.append(ModulatedConv(outputs, 3, 1, latent, demodulate=False))

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        image, x = features[:, :3], features
        for block, head in zip(self.blocks, self.heads, strict=True):
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                x = layer(x, w, None)
            image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False) + 0.1 * head(x, w)
        return image


class EG3DFacts(Section):
    """What a scene of EG3D needs beside its tensors."""

    volume: Volume
    eg3d: EG3DSection


class EG3DScene(Scene):
    """Planes (1, 3, C, n, n) and style of one latent. Geometry is one field; the upsampler works on each view alone."""

    kind = "eg3d"
    Facts: ClassVar = EG3DFacts

    def __init__(
        self, planes: Tensor, w: Tensor, decoder: PlaneDecoder, upsampler: Upsampler, facts: EG3DFacts
    ) -> None:
        self.field = TriPlaneField(planes, decoder, facts.volume.extent, facts.eg3d.channels)
        self.w, self.upsampler, self.facts = w, upsampler, facts

    @torch.no_grad()
    def render(self, cameras: Cameras, size: int) -> Views:
        """Views at `size`; where that is not four times the raw size, the upsampler's image is resized."""
        section = self.facts.eg3d
        samples = (section.coarse_samples, section.importance_samples)
        raw = render_field(self.field, cameras, section.raw_size, samples, self.facts.volume.precision)
        # one by one: rounding must not depend on how views are batched
        images = torch.cat([self.upsampler(view[None].contiguous(), self.w) for view in raw.rgb]).clamp(0, 1)
        mode = "area" if size < images.shape[-1] else "bilinear"
        flat = (F.interpolate(part, size=(size, size), mode="bilinear") for part in (raw.alpha, raw.depth))
        return Views(F.interpolate(images, size=(size, size), mode=mode), *flat)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field.query(points)[0]

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface: the raw one, which the upsampler starts from."""
        return self.field.query(points)[1][:, :3].clamp(0, 1)

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh:
        """As in `Scene`."""
        return surface_mesh(self, resolution, level, self.facts.volume.extent, self.w.device, cameras)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        parts = {"decoder": self.field.decoder, "upsampler": self.upsampler}
        weights = [prefixed(name, part.state_dict()) for name, part in parts.items()]
        return {"planes": self.field.planes, "w": self.w, **weights[0], **weights[1]}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: EG3DFacts) -> EG3DScene:
        """As in `Scene`."""
        decoder, upsampler = make_decoder(facts.volume, facts.eg3d), make_upsampler(facts.eg3d)
        for name, part in (("decoder", decoder), ("upsampler", upsampler)):
            part.load_state_dict(unprefixed(name, tensors))
            part.to(tensors["w"].device)
        return cls(tensors["planes"], tensors["w"], decoder, upsampler, facts)


def make_decoder(volume: Volume, section: EG3DSection) -> PlaneDecoder:
    """The decoder of plane features, with new weights."""
    return PlaneDecoder(section.features, DECODER_WIDTH, section.channels, volume.density_scale)


def make_upsampler(section: EG3DSection) -> Upsampler:
    """The super-resolution module, with new weights."""
    return Upsampler(section.channels, section.upsampler_width, section.latent)


class EG3D(AdversarialMethod):
    """Generator and discriminator of EG3D."""

    seed_name = "eg3d"

    def __init__(self, volume: Volume, adversarial: Adversarial, eg3d: EG3DSection) -> None:
        super().__init__(adversarial, eg3d)
        self.volume, self.section = volume, eg3d
        self.mapping = MappingNetwork(eg3d.latent, 2, LABEL if eg3d.pose_conditioning else 0)
        self.backbone = StyleBackbone(eg3d.latent, 3 * eg3d.features, eg3d.plane_resolution, eg3d.width)
        self.decoder = make_decoder(volume, eg3d)
        self.upsampler = make_upsampler(eg3d)
        self.discriminator = Discriminator(6, 4 * eg3d.raw_size, adversarial.width, LABEL)
        self.pool = CameraPool(POSES)

    def prepare(self, inputs: TrainingInputs) -> None:
        """Keep some training cameras, for pose conditioning at sampling time."""
        self.pool.fill(inputs.data)

    def planes(self, w: Tensor, generator: torch.Generator) -> Tensor:
        """Tri-planes (B, 3, C, n, n) of styles w (B, latent)."""
        return self.backbone(w, generator).unflatten(1, (3, -1))

    def pose_label(self, cameras: Cameras, step: int, generator: torch.Generator) -> Tensor | None:
        """The label that conditions the generator: the view's own camera, or another's, with a probability that falls
        from 1 to 0.5 over the run, lest the scene turn with the camera."""
        if not self.section.pose_conditioning:
            return None
        label = camera_label(cameras)
        swapped = torch.rand(len(label), 1, generator=generator) < 1 - 0.5 * step / self.section.steps
        return torch.where(swapped.to(label.device, non_blocking=True), label.roll(1, 0), label)

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of both players on the batch's images, and on fakes from the same cameras."""
        section, cameras = self.section, batch.cameras
        size = section.raw_size
        real = batch.resized(4 * size).images.flatten(0, 1)
        z = torch.randn((len(real), section.latent), generator=generator).to(real.device, non_blocking=True)
        w = self.mapping(z, self.pose_label(cameras, step, generator))
        field = TriPlaneField(self.planes(w, generator), self.decoder, self.volume.extent, section.channels)
        samples = (section.coarse_samples, section.importance_samples)
        rendered = render_rays(field, Rays.through(cameras, size), *samples, generator)
        features = rendered.image(size)
        fake = dual(self.upsampler(features, w), features[:, :3])
        label = camera_label(cameras)
        losses = adversarial_losses(
            self.discriminator,
            lambda images: self.discriminator(images, label.repeat(len(images) // len(label), 1)),
            dual(real, F.interpolate(real, scale_factor=0.25, mode="area")),
            fake,
            section.r1,
            step,
            self.adversarial,
            generator,
        )
        if step % DENSITY_EVERY == 0:
            losses["smoothness"] = self.density_roughness(field, generator)
            losses["loss"] = losses["loss"] + DENSITY_EVERY * section.density_weight * losses["smoothness"]
        return losses

    def density_roughness(self, field: TriPlaneField, generator: torch.Generator) -> Tensor:
        """Mean absolute difference of density between random points and points close to them."""
        shape = (len(field.planes), DENSITY_POINTS, 3)
        points = (2 * torch.rand(shape, generator=generator) - 1) * field.extent
        near = points + DENSITY_SHIFT * torch.randn(shape, generator=generator)
        both = torch.cat([points, near], 1).to(field.planes.device, non_blocking=True)
        first, second = field.query(both.flatten(0, 1))[0].unflatten(0, (len(field.planes), -1)).chunk(2, 1)
        return (first - second).abs().mean()

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> EG3DScene:
        """The scene of one seed."""
        generator = generator_for("coarse", request.seed)
        z = torch.randn((1, self.section.latent), generator=generator).to(self.pool.R.device, non_blocking=True)
        pose = camera_label(self.pool.cameras[int(torch.randint(POSES, (1,), generator=generator))])
        w = self.mapping(z, pose if self.section.pose_conditioning else None)
        facts = EG3DFacts(volume=self.volume, eg3d=self.section)
        return EG3DScene(self.planes(w, generator), w, self.decoder, self.upsampler, facts)


def dual(image: Tensor, raw: Tensor) -> Tensor:
    """What the discriminator sees: the image (B, 3, S, S) and the raw one (B, 3, s, s) at its size, channel-wise."""
    return torch.cat([image, F.interpolate(raw, size=image.shape[2:], mode="bilinear", align_corners=False)], 1)
