"""GET3D (Gao, Shen, Wang et al., NeurIPS 2022), written from the paper.

Kept: two latents with a mapping network each, tri-planes of geometry from one and of texture from both, summed plane
features, style-modulated heads for signed distance, deformation and colour, marching tetrahedra on a deformed grid, a
texture field looked up at visible surface points only, one discriminator for colour and one for the mask, both told the
camera, regularisation of the signed distance and a guard against empty shapes. Samples are meshes.
Departures: PyTorch3D's rasteriser with a soft rim in place of nvdiffrast's antialiasing; the signed distance starts
from a sphere and is positive at the grid's border, so that meshes are closed; two backbones instead of one with two kinds
of heads; differentiable augmentation; both players step together; the camera label is that of EG3D; sizes are settings.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import Adversarial, GET3DSection
from holofusion.config.params import Volume
from holofusion.config.section import Positive, Section
from holofusion.data.batches import ViewBatch
from holofusion.methods.adversarial import AdversarialMethod
from holofusion.methods.eg3d import LABEL, camera_label
from holofusion.networks.discriminator import Discriminator
from holofusion.networks.style import MappingNetwork, ModulatedConv, StyleBackbone, leaky
from holofusion.networks.triplane import sample_planes
from holofusion.rendering.marching_tetrahedra import EDGES, TetrahedralGrid, marching_tetrahedra
from holofusion.rendering.paint import paint
from holofusion.rendering.views import Views
from holofusion.scenes.base import SampleRequest, prefixed, unprefixed
from holofusion.scenes.mesh import MeshScene
from holofusion.training.adversarial import adversarial_losses
from holofusion.utils.random import generator_for

SPHERE = 0.5  # radius of the first shape, share of the extent
HEAD_WIDTH = 32
DISTANCE_SCALE = 0.25  # cells that the first shapes stray from the sphere: rougher ones have many more faces to draw


class StyledHead(nn.Module):
    """Features (B, N, C) and style (B, latent) -> (B, N, outputs), through one modulated hidden layer."""

    def __init__(self, features: int, outputs: int, latent: int) -> None:
        super().__init__()
        self.hidden = ModulatedConv(features, HEAD_WIDTH, 1, latent)
        self.out = ModulatedConv(HEAD_WIDTH, outputs, 1, latent, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        x = features.transpose(1, 2)[..., None]
        return self.out(leaky(self.hidden(x, w)), w)[..., 0].transpose(1, 2) + self.bias


class PairedDiscriminator(nn.Module):
    """Colour and transparency (B, 4, s, s) -> scores (2 B,): of the colours, then of the masks."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.colour, self.mask = Discriminator(3, size, width, LABEL), Discriminator(1, size, width, LABEL)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return torch.cat([self.colour(images[:, :3], label), self.mask(images[:, 3:], label)])


class TextureField:
    """Colours (B, N, 3) in [0, 1] of points (B, N, 3), from texture planes and style of one batch of shapes."""

    def __init__(self, planes: Tensor, w: Tensor, head: StyledHead, extent: float) -> None:
        self.planes, self.w, self.head, self.extent = planes, w, head, extent

    def __call__(self, points: Tensor) -> Tensor:
        return torch.sigmoid(self.head(sample_planes(self.planes, points, self.extent).sum(1), self.w))


class MeshFacts(Section):
    """What a textured mesh needs beside its tensors."""

    extent: Positive


class StyledMeshScene(MeshScene):
    """A closed mesh whose texture is a `TextureField`."""

    kind = "mesh"
    Facts: ClassVar = MeshFacts
    texture: TextureField

    def __init__(self, vertices: Tensor, faces: Tensor, texture: TextureField, facts: MeshFacts) -> None:
        self.vertices, self.faces, self.texture, self.facts = vertices, faces, texture, facts

    def view(self, camera: Cameras, size: int) -> Views:
        """As in `MeshScene`."""
        return paint(self.texture, [self.vertices], [self.faces], camera, size)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        mesh = {"vertices": self.vertices, "faces": self.faces}
        texture = {"planes": self.texture.planes, "w": self.texture.w}
        return {**mesh, **texture, **prefixed("head", self.texture.head.state_dict())}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: MeshFacts) -> StyledMeshScene:
        """As in `Scene`."""
        head = StyledHead(tensors["planes"].shape[2], 3, tensors["w"].shape[1]).to(tensors["w"].device)
        head.load_state_dict(unprefixed("head", tensors))
        texture = TextureField(tensors["planes"], tensors["w"], head, facts.extent)
        return cls(tensors["vertices"], tensors["faces"], texture, facts)


class GET3D(AdversarialMethod):
    """Generator and discriminators of GET3D."""

    seed_name = "get3d"
    inner: Tensor
    edges: Tensor

    def __init__(self, volume: Volume, adversarial: Adversarial, get3d: GET3DSection) -> None:
        super().__init__(adversarial, get3d)
        self.volume, self.section = volume, get3d
        latent, features, resolution = get3d.latent, get3d.features, get3d.plane_resolution
        self.shape_mapping, self.texture_mapping = MappingNetwork(latent, 8), MappingNetwork(latent, 8)
        self.shape_planes = StyleBackbone(latent, 3 * features, resolution, get3d.width)
        self.texture_planes = StyleBackbone(2 * latent, 3 * features, resolution, get3d.width)
        self.distance, self.deformation = StyledHead(features, 1, latent), StyledHead(features, 3, latent)
        self.texture = StyledHead(features, 3, 2 * latent)
        self.discriminator = PairedDiscriminator(get3d.image_size, adversarial.width)
        self.grid = TetrahedralGrid(get3d.cells, volume.extent)
        count, corners = len(self.grid.vertices), self.grid.tetrahedra[:, torch.tensor(EDGES)]
        low, high = corners.reshape(-1, 2).sort(-1).values.unbind(-1)
        pairs = torch.unique(low * count + high)  # one number each: rows take torch minutes on a fine grid
        edges = torch.stack([pairs // count, pairs % count], -1)
        self.register_buffer("inner", (~self.grid.border).nonzero().squeeze(1), persistent=False)
        self.register_buffer("edges", edges, persistent=False)
        self.objects_per_batch = get3d.batch

    def fields(
        self, z_shape: Tensor, z_texture: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, TextureField]:
        """Grid vertices (B, V, 3), signed distances (B, V) in cells, negative inside, and texture of latents (B, latent)."""
        extent = self.volume.extent
        w = self.shape_mapping(z_shape)
        both = torch.cat([w, self.texture_mapping(z_texture)], 1)
        planes = self.shape_planes(w, generator).unflatten(1, (3, -1))
        features = sample_planes(planes, self.grid.vertices.expand(len(w), -1, -1), extent).sum(1)
        sphere = (self.grid.vertices.norm(dim=1) - SPHERE * extent) / self.grid.cell
        distance = self.grid.closed(sphere + DISTANCE_SCALE * self.distance(features, w)[..., 0])
        moved = self.grid.moved(self.deformation(features, w))
        texture = self.texture_planes(both, generator).unflatten(1, (3, -1))
        return moved, distance, TextureField(texture, both, self.texture, extent)

    def regularisation(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """(cross-entropy over the edges whose ends differ in sign, guard against shapes without a surface).

        The first discourages floating and inner surfaces; the second pulls the least-inside vertex of an empty (the
        most-inside of a full) shape across zero.
        """
        ends = distance[:, self.edges]
        first, second = ends.unbind(-1)
        differ = ((first < 0) != (second < 0)).nonzero(as_tuple=True)
        first, second = first[differ], second[differ]
        entropy = F.binary_cross_entropy_with_logits(first, (second > 0).float(), reduction="sum")
        entropy = entropy + F.binary_cross_entropy_with_logits(second, (first > 0).float(), reduction="sum")
        inner = distance[:, self.inner]
        guard = F.relu(inner.amin(1) + 0.1).mean() + F.relu(0.1 - inner.amax(1)).mean()
        return entropy / max(1, 2 * len(first)), guard

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of both players on the batch's images and masks, and on fakes from the same cameras."""
        section = self.section
        real = batch.resized(section.image_size)
        images, masks = real.images.flatten(0, 1), real.masks.flatten(0, 1)
        z = torch.randn((2, len(images), section.latent), generator=generator).to(images.device, non_blocking=True)
        moved, distance, texture = self.fields(z[0], z[1], generator)
        meshes = [marching_tetrahedra(*pair, self.grid.tetrahedra) for pair in zip(moved, distance, strict=True)]
        vertices, faces = map(list, zip(*meshes, strict=True))
        views = paint(texture, vertices, faces, batch.cameras, section.image_size)
        label = camera_label(batch.cameras)
        losses = adversarial_losses(
            self.discriminator,
            lambda seen: self.discriminator(seen, label),
            torch.cat([images, 1 - masks], 1),
            torch.cat([views.rgb, 1 - views.alpha], 1),
            section.r1,
            step,
            self.adversarial,
            generator,
        )
        losses["entropy"], losses["guard"] = self.regularisation(distance)
        losses["loss"] = losses["loss"] + section.distance_weight * losses["entropy"] + losses["guard"]
        return losses

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> StyledMeshScene:
        """The scene of one seed."""
        generator = generator_for("coarse", request.seed)
        z = torch.randn((2, 1, self.section.latent), generator=generator).to(self.inner.device, non_blocking=True)
        moved, distance, texture = self.fields(z[0], z[1], generator)
        vertices, faces = marching_tetrahedra(moved[0], distance[0], self.grid.tetrahedra)
        return StyledMeshScene(vertices, faces, texture, MeshFacts(extent=self.volume.extent))
