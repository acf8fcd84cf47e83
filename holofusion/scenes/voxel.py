"""Generated scenes: what `sample` makes and `render` needs, on disk as scene.safetensors + scene.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from holofusion.cameras import Cameras
from holofusion.methods.superresolution import SuperResolution
from holofusion.networks.render_mlp import RenderMLP
from holofusion.pipeline.registry import ROWS, method_class, needs_warmup
from holofusion.rendering.grids import DenseField, PlainDecoder, SparseField, SparseGrid, occupancy_of
from holofusion.rendering.volume import render_rays
from holofusion.utils.files import UserError, read_json, write_json
from holofusion.utils.precision import autocast
from holofusion.utils.random import generator_for

RAYS_AT_ONCE = 8192


@dataclass(frozen=True)
class Views:
    """Rendered views: rgb (B, 3, S, S) in [0, 1] over white, alpha and depth (B, 1, S, S); depth in world units."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor


@torch.no_grad()
def render_field(field, cameras: Cameras, size: int, settings, samples: tuple[int, int], channels: int = 3) -> Views:
    """Render one field from every camera, without randomness.

    samples: evenly spaced points per ray, and further ones where these met density. channels: length of the colour.
    """
    extent = settings.volume.extent
    pixels = torch.zeros(len(cameras), size * size, channels + 2, device=cameras.R.device)
    pixels[..., :channels] = 1.0
    for index in range(len(cameras)):
        origins, directions = cameras[index].rays(size)
        for rays in torch.arange(size * size, device=origins.device).split(RAYS_AT_ONCE):
            with autocast(origins.device, settings.volume.precision):
                part = render_rays(field, origins[:, rays], directions[:, rays], extent, *samples)
            pixels[index, rays] = torch.cat([part.rgb, part.alpha[..., None], part.depth[..., None]], -1)[0].float()
    pixels = pixels.transpose(1, 2).unflatten(2, (size, size))
    return Views(*pixels.split([channels, 1, 1], 1))


class DenseScene:
    """A coarse scene: one low-resolution feature grid (1, C, n, n, n) and its decoder."""

    kind = "dense"

    def __init__(self, grid: Tensor, decoder: nn.Module, settings) -> None:
        self.settings = settings
        bare = DenseField(grid, decoder, settings.volume.extent)
        occupancy = occupancy_of(bare, 4 * grid.shape[-1], settings.rendering.empty_density, grow=1)[0]
        self.field = DenseField(grid, decoder, settings.volume.extent, occupancy)

    def render(self, cameras: Cameras, size: int) -> Views:
        return render_field(self.field, cameras, size, self.settings, (self.settings.rendering.occupied_samples, 0))

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field(points[None])[0][0]

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface."""
        return self.field(points[None])[1][0]

    def tensors(self) -> dict[str, Tensor]:
        return {"grid": self.field.grid, **prefixed("decoder", self.field.decoder.state_dict())}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], settings) -> DenseScene:
        return cls(tensors["grid"], load_decoder(tensors, settings), settings)


class SuperResolvedScene:
    """A coarse scene whose views are sharpened one by one: not one 3D object, but what super-resolution alone gives."""

    kind = "super_resolved"

    def __init__(self, coarse: DenseScene, network: SuperResolution, seed: int, settings) -> None:
        self.coarse, self.network, self.seed, self.settings = coarse, network.eval(), seed, settings

    def render_low(self, cameras: Cameras) -> Tensor:
        """Colour and opacity (B, 4, s, s) of the coarse scene at super-resolution's input size."""
        views = self.coarse.render(cameras, self.settings.superresolution.low_size)
        return torch.cat([views.rgb, views.alpha], 1)

    def render(self, cameras: Cameras, size: int) -> Views:
        """Sharpened views. The noise of view i depends on the scene's seed and i alone, not on how views are batched."""
        coarse = self.coarse.render(cameras, size)
        sharp = [
            self.hypotheses(cameras[index], size, 1, generator_for("sharpen", self.seed, index))
            for index in range(len(cameras))
        ]
        return Views(torch.cat(sharp), coarse.alpha, coarse.depth)

    def hypotheses(self, camera: Cameras, size: int, count: int, generator: torch.Generator) -> Tensor:
        """`count` independent sharpened images (count, 3, size, size) of one camera."""
        low = self.render_low(camera).expand(count, -1, -1, -1)
        return self.network.sharpen(low, size, self.settings.superresolution_sampling, generator)

    def density(self, points: Tensor) -> Tensor:
        return self.coarse.density(points)

    def colour(self, points: Tensor) -> Tensor:
        """The coarse scene's: sharpened views share no surface that could be painted."""
        return self.coarse.colour(points)

    def tensors(self) -> dict[str, Tensor]:
        return self.coarse.tensors() | prefixed("superresolution", self.network.state_dict())

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], settings, seed: int) -> SuperResolvedScene:
        network = SuperResolution(settings)
        network.load_state_dict(unprefixed("superresolution", tensors))
        return cls(DenseScene.from_tensors(tensors, settings), network.to(tensors["grid"].device), seed, settings)


class SparseScene:
    """A distilled scene: a high-resolution sparse grid with its own decoder."""

    kind = "sparse"

    def __init__(self, field: SparseField, settings) -> None:
        self.field, self.settings = field, settings

    def render(self, cameras: Cameras, size: int) -> Views:
        return render_field(self.field, cameras, size, self.settings, (self.settings.distillation.samples, 0))

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        found = self.field.at(points)[0]
        return torch.where(self.field.occupied(*points.T[:, None])[0], found, torch.zeros_like(found))

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface."""
        return self.field.at(points)[1]

    def tensors(self) -> dict[str, Tensor]:
        grid = self.field.grid
        return {
            "rows": grid.index.flatten().nonzero().squeeze(1).int(),
            "values": grid.values.detach(),
            "occupancy": self.field.occupancy.to(torch.uint8),
            **prefixed("decoder", self.field.decoder.state_dict()),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], settings) -> SparseScene:
        occupancy = tensors["occupancy"].bool()
        active = torch.zeros_like(occupancy).flatten().index_fill(0, tensors["rows"].long(), True)
        values = tensors["values"]
        grid = SparseGrid.of_rows(active.reshape(occupancy.shape), values[1:], values[:1], settings.volume.extent)
        return cls(SparseField(grid, load_decoder(tensors, settings), occupancy), settings)


Scene = DenseScene | SuperResolvedScene | SparseScene
"""These, and the scene classes of the methods that train by themselves, have `render(cameras, size)`, and for meshes
`density(points)` and `colour(points)`. Where density() is None, `mesh()` gives the surface: vertices and faces.
"""


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def unprefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}


def load_decoder(tensors: dict[str, Tensor], settings) -> RenderMLP | PlainDecoder:
    volume = settings.volume
    weights = unprefixed("decoder", tensors)
    if not weights:
        return PlainDecoder(volume.density_scale)
    decoder = RenderMLP(volume.features, volume.decoder_width, volume.density_scale)
    decoder.load_state_dict(weights)
    return decoder.to(next(iter(weights.values())).device)


def save_scene(scene: Scene, folder: Path, facts: dict) -> None:
    """Write scene.safetensors and scene.json (kind, seed, settings and `facts`) into a folder that exists.

    The kind is one of this module's, or the name of the method whose class has a scene class of its own.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in scene.tensors().items()}
    save_file(tensors, folder / "scene.safetensors")
    sections = (
        "volume",
        "rendering",
        "superresolution",
        "superresolution_sampling",
        "distillation",
        *(ROWS[facts["method"]].train_settings.model_fields if not needs_warmup(facts["method"]) else ()),
    )
    plain = {name: vars(getattr(scene.settings, name)) for name in sections if getattr(scene.settings, name, None)}
    kind = getattr(scene, "kind", facts["method"])
    write_json(folder / "scene.json", {"kind": kind, "settings": plain, **facts})


def load_scene(folder: Path, device: torch.device) -> tuple[Scene, dict]:
    """A scene, on the device, and its scene.json. Raises UserError naming the folder when it is not one."""
    facts = read_json(folder / "scene.json")
    settings = SimpleNamespace(**{name: SimpleNamespace(**values) for name, values in facts["settings"].items()})
    tensors = load_file(folder / "scene.safetensors", device=str(device))
    if facts["kind"] == DenseScene.kind:
        return DenseScene.from_tensors(tensors, settings), facts
    if facts["kind"] == SuperResolvedScene.kind:
        return SuperResolvedScene.from_tensors(tensors, settings, facts["seed"]), facts
    if facts["kind"] == SparseScene.kind:
        return SparseScene.from_tensors(tensors, settings), facts
    entry = ROWS.get(facts["kind"])
    if entry is None or entry.model is None:
        raise UserError(f"{folder}/scene.json: unknown kind {facts['kind']!r}")
    return method_class(facts["kind"]).scene_class.from_tensors(tensors, settings), facts
