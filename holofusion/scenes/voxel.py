"""Scenes that are voxel grids: dense ones of low resolution, and sparse ones of high resolution."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from holofusion.cameras import Cameras
from holofusion.config.section import Count, Positive, Section
from holofusion.meshing.surface import Mesh, surface_mesh
from holofusion.networks.render_mlp import RenderMLP
from holofusion.rendering.grids import DenseField, PlainDecoder, occupancy_of
from holofusion.rendering.occupancy import Occupancy
from holofusion.rendering.sparse_grid import SparseField, SparseGrid
from holofusion.rendering.views import Views, render_field
from holofusion.scenes.base import Scene, prefixed, unprefixed


class VoxelFacts(Section):
    """What a voxel scene needs beside its tensors."""

    extent: Positive = Field(description="the grid spans [-extent, extent] in world units")
    density_scale: Positive = Field(description="factor before the softplus that gives density")
    precision: Literal["auto", "bf16", "fp32"] = Field(description="arithmetic of the decoder")
    coarse_samples: Count = Field(description="evenly spaced points per ray")
    importance_samples: int = Field(description="further points per ray, where the first met density", ge=0)
    empty_density: Positive | None = Field(
        description="cells below this density, per world unit, are skipped; null: none are"
    )


class VoxelScene(Scene):
    """One dense grid (1, C, n, n, n) of features and their decoder, an MLP or `PlainDecoder`."""

    kind = "voxel"
    Facts: ClassVar = VoxelFacts

    def __init__(self, grid: Tensor, decoder: nn.Module, facts: VoxelFacts) -> None:
        self.facts, self.field = facts, DenseField(grid, decoder, facts.extent)
        if facts.empty_density is not None:
            # without an MLP no place is denser than the densest of the voxels around it
            occupied = self.occupied((1 if isinstance(decoder, PlainDecoder) else 4) * grid.shape[-1])
            self.field = DenseField(grid, decoder, facts.extent, Occupancy(occupied, facts.extent))

    def occupied(self, resolution: int) -> Tensor:
        """Voxels (resolution^3, bool) that are not empty, and their neighbours; all of them where `empty_density` is None."""
        if self.facts.empty_density is None:
            return torch.ones((resolution,) * 3, dtype=torch.bool, device=self.field.grid.device)
        return occupancy_of(self.field, resolution, self.facts.empty_density, grow=1)[0]

    def render(self, cameras: Cameras, size: int) -> Views:
        """As in `Scene`."""
        samples = (self.facts.coarse_samples, self.facts.importance_samples)
        return render_field(self.field, cameras, size, samples, self.facts.precision)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field.query(points)[0]

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface."""
        return self.field.query(points)[1]

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh:
        """As in `Scene`."""
        return surface_mesh(self, resolution, level, self.facts.extent, self.field.grid.device, cameras)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        return {"grid": self.field.grid, **prefixed("decoder", self.field.decoder.state_dict())}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: VoxelFacts) -> VoxelScene:
        """As in `Scene`."""
        grid = tensors["grid"]
        if grid.ndim != 5 or len(grid) != 1 or len(set(grid.shape[2:])) != 1:
            raise ValueError(f"tensor grid is of shape {list(grid.shape)}, expected [1, C, n, n, n]")
        return cls(grid, load_decoder(tensors, facts.density_scale), facts)


class SparseVoxelScene(Scene):
    """A distilled scene: a high-resolution sparse grid with its own decoder."""

    kind = "sparse_voxel"
    Facts: ClassVar = VoxelFacts

    def __init__(self, field: SparseField, facts: VoxelFacts) -> None:
        self.field, self.facts = field, facts

    def render(self, cameras: Cameras, size: int) -> Views:
        """As in `Scene`."""
        samples = (self.facts.coarse_samples, self.facts.importance_samples)
        return render_field(self.field, cameras, size, samples, self.facts.precision)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        density = self.field.query(points)[0]
        occupied = self.field.occupancy.contains(*points.T[:, None])[0]
        return torch.where(occupied, density, torch.zeros_like(density))

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface."""
        return self.field.query(points)[1]

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh:
        """As in `Scene`."""
        return surface_mesh(self, resolution, level, self.facts.extent, self.field.grid.values.device, cameras)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        grid = self.field.grid
        return {
            "rows": grid.index.flatten().nonzero().squeeze(1).int(),
            "values": grid.values.detach(),
            "occupancy": self.field.occupancy.grid.to(torch.uint8),
            **prefixed("decoder", self.field.decoder.state_dict()),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: VoxelFacts) -> SparseVoxelScene:
        """As in `Scene`."""
        occupied = tensors["occupancy"].bool()
        if occupied.ndim != 3 or len(set(occupied.shape)) != 1:
            raise ValueError(f"tensor occupancy is of shape {list(occupied.shape)}, expected [n, n, n]")
        grid = SparseGrid.from_file(tensors["rows"], tensors["values"], len(occupied), facts.extent)
        return cls(SparseField(grid, load_decoder(tensors, facts.density_scale), occupied), facts)


def load_decoder(tensors: dict[str, Tensor], density_scale: float) -> RenderMLP | PlainDecoder:
    """The MLP whose weights lie under `decoder.`, sizes and all; the plain decoder where there are none."""
    weights = unprefixed("decoder", tensors)
    if not weights:
        return PlainDecoder(density_scale)
    width, features = weights["layers.0.weight"].shape
    decoder = RenderMLP(features, width, density_scale)
    decoder.load_state_dict(weights)
    return decoder.to(weights["layers.0.weight"].device)
