"""Scenes that are coloured triangle meshes: what they share, and those whose colours are a grid."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.config.section import Count, Positive, Section
from holofusion.meshing.atlas import colour_bytes
from holofusion.meshing.mesh import Mesh
from holofusion.meshing.surface import colours_at, outlines_of
from holofusion.rendering.face_search import FaceSearch
from holofusion.rendering.grids import corners
from holofusion.rendering.paint import Texture, averaged, paint
from holofusion.rendering.sparse_grid import SparseGrid
from holofusion.rendering.views import Views
from holofusion.scenes.base import Scene

MOST_VOXELS = 2048  # a side, of a grid of colours: its index would take 34 GB


class MeshScene(Scene):
    """A closed triangle mesh, vertices (M, 3) and faces (F, 3), outwards, and its texture field. It has no density.

    Kinds differ in how the texture is stored and in how a view is made.
    """

    vertices: Tensor
    faces: Tensor
    texture: Texture

    def view(self, camera: Cameras, size: int) -> Views:
        """The view from one camera."""
        raise NotImplementedError

    @torch.no_grad()
    def render(self, cameras: Cameras, size: int) -> Views:
        """As in `Scene`."""
        views = [self.view(cameras[i], size) for i in range(len(cameras))]
        return Views(*(torch.cat([getattr(view, part) for view in views]) for part in ("rgb", "alpha", "depth")))

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh:
        """The mesh itself, whatever the resolution, with its texture's colours at the vertices."""
        device, paint = self.vertices.device, partial(colours_at, self, self.vertices.device)
        vertices, faces = (part.cpu() for part in (self.vertices, self.faces))
        outlines = None if cameras is None else outlines_of(self, cameras, device)
        colours = colour_bytes(paint(vertices, vertices))
        return Mesh(vertices.numpy(), faces.numpy(), colours, paint, outlines=outlines)

    @torch.no_grad()
    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface."""
        return self.texture(points[None])[0]


class PaintedMeshFacts(Section):
    """What a mesh with a grid of colours needs beside its tensors."""

    extent: Positive = Field(description="the grid spans [-extent, extent] in world units")
    oversampling: Count = Field(description="pixels a side that each pixel of a view is averaged from")


class PaintedMeshScene(MeshScene):
    """A mesh whose colours, before the sigmoid, are a sparse grid with a value at all voxels near the surface."""

    kind = "painted_mesh"
    Facts: ClassVar = PaintedMeshFacts

    def __init__(self, vertices: Tensor, faces: Tensor, colours: SparseGrid, facts: PaintedMeshFacts) -> None:
        self.vertices, self.faces, self.colours, self.facts = vertices, faces, colours, facts
        self.texture, self._search = texture_of(colours), FaceSearch(faces)

    def view(self, camera: Cameras, size: int) -> Views:
        """As in `MeshScene`; its outlines are smooth where an edge crosses a pixel."""
        finer = size * self.facts.oversampling
        fine = paint(self.texture, [self.vertices], [self.faces], camera, finer, self._search)
        return averaged(fine, self.facts.oversampling)

    def tensors(self) -> dict[str, Tensor]:
        """As in `Scene`."""
        index = self.colours.index
        return {
            "vertices": self.vertices,
            "faces": self.faces,
            "voxels": index.flatten().nonzero().squeeze(1).int(),
            "resolution": torch.tensor(len(index)),
            "colours": self.colours.values.detach(),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], facts: PaintedMeshFacts) -> PaintedMeshScene:
        """As in `Scene`."""
        vertices, faces, colours, side = (tensors[name] for name in ("vertices", "faces", "colours", "resolution"))
        for name, value in (("vertices", vertices), ("faces", faces), ("colours", colours)):
            if value.ndim != 2 or value.shape[1] != 3:
                raise ValueError(f"tensor {name} is of shape {list(value.shape)}, expected [N, 3]")
        for name, value in (("vertices", vertices), ("colours", colours)):
            if value.dtype != torch.float32 or not value.isfinite().all():
                raise ValueError(f"tensor {name} holds {value.dtype}, expected finite numbers of torch.float32")
        if faces.dtype != torch.int64:
            raise ValueError(f"tensor faces holds {faces.dtype}, expected torch.int64")
        if len(faces) and not 0 <= int(faces.min()) <= int(faces.max()) < len(vertices):
            raise ValueError(f"tensor faces names vertices that are not there; there are {len(vertices)}")
        if side.numel() != 1 or side.is_floating_point() or not 2 <= int(side) <= MOST_VOXELS:
            raise ValueError(f"tensor resolution should be one whole number, 2 to {MOST_VOXELS}")
        return cls(vertices, faces, SparseGrid.from_file(tensors["voxels"], colours, int(side), facts.extent), facts)


def texture_of(colours: SparseGrid) -> Texture:
    """The texture of one mesh, colours (1, N, 3) at points (1, N, 3), that a grid of colours before the sigmoid is.

    Other than in the grid's own lookup, gradients reach the points too, so that colours can pull at a surface.
    """

    def texture(points: Tensor) -> Tensor:
        index, shares = corners(points[0], len(colours.index), colours.extent)
        rows = colours.index.flatten().index_select(0, index.flatten())
        around = colours.values.index_select(0, rows).unflatten(0, shares.shape)
        return torch.sigmoid((around * shares[..., None]).sum(1))[None]

    return texture
