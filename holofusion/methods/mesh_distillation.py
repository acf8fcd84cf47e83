"""Score distillation on a mesh: a field's level set, in tetrahedra, pulled by a guide through the rasteriser.

The second stage of Magic3D (Lin et al., CVPR 2023, section 4.2): signed distances on a tetrahedral grid whose vertices may move
(DMTet, Shen et al. 2021) start from the field's density, a grid of colours from its colours, and both are optimised by score
distillation on views of random training cameras, with the consistency of neighbouring normals beside it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.baselines import Magic3DSection
from holofusion.meshing.cleaning import SMALLEST_PIECE
from holofusion.meshing.level import level_by_outlines
from holofusion.meshing.surface import density_grid, outlines_of
from holofusion.methods.guides import Guide
from holofusion.methods.surface_fusion import OVERSAMPLING, bending, colours_of, face_pairs, voxels_around
from holofusion.rendering.face_search import FaceSearch
from holofusion.rendering.marching_tetrahedra import OUTSIDE, TetrahedralGrid, marching_tetrahedra
from holofusion.rendering.paint import averaged, paint
from holofusion.rendering.sparse_grid import SparseGrid
from holofusion.scenes.mesh import PaintedMeshFacts, PaintedMeshScene, texture_of
from holofusion.scenes.voxel import VoxelScene
from holofusion.training.descent import descend
from holofusion.utils.progress import say
from holofusion.utils.random import generator_for

OUTLINES = 32  # cameras whose renders of the field say at which level its surface lies
FARTHEST = 1.0  # cells: signed distances start within that, so that a surface can move on into the next cell
NEAREST = 1e-3  # cells: none starts nearer, so that the sign of each is told
EMPTY = 1e-6  # density per world unit, for the logarithm's sake


class TetrahedralMesh(nn.Module):
    """A mesh that is cut out of tetrahedra anew at each step.

    distance (V,): signed distances at the grid's vertices in cells, negative inside. colours: before the sigmoid.
    """

    def __init__(self, grid: TetrahedralGrid, distance: Tensor, colours: SparseGrid) -> None:
        super().__init__()
        self.grid, self.colours = grid, colours
        self.distance = nn.Parameter(distance)
        self.deformation = nn.Parameter(torch.zeros_like(grid.vertices))

    def surface(self) -> tuple[Tensor, Tensor]:
        """Vertices (M, 3), world units, with gradients to distances and deformation, and faces (F, 3), outwards. Closed."""
        moved, distance = self.grid.moved(self.deformation), self.grid.closed(self.distance)
        return marching_tetrahedra(moved, distance, self.grid.tetrahedra)

    @torch.no_grad()
    def scene(self) -> PaintedMeshScene:
        """What it is now, with the colours that its faces can meet."""
        vertices, faces = self.surface()
        size, extent = len(self.colours.index), self.colours.extent
        # faces span under two cells along an axis, and none of their points is farther than two thirds of that from the
        # nearest corner; half a voxel more is met by interpolation
        grown = math.ceil(4 / 3 * self.grid.cell * size / (2 * extent) + 0.5)
        kept = voxels_around(vertices, size, extent, grown)
        values = self.colours.values.detach()
        colours = SparseGrid.of_rows(kept, values[self.colours.index[kept].long()], values[:1], extent)
        return PaintedMeshScene(vertices, faces, colours, PaintedMeshFacts(extent=extent, oversampling=OVERSAMPLING))


@torch.no_grad()
def start_from(field: VoxelScene, cameras: Cameras, section: Magic3DSection) -> TetrahedralMesh:
    """The level set of the field whose outlines are those of its renders from `cameras`, in its colours. It may be empty."""
    device, extent = field.field.grid.device, field.facts.extent
    grid = TetrahedralGrid(section.cells, extent).to(device)
    density = density_grid(field, section.cells + 1, extent, device)  # at the vertices, z, y, x
    level = level_by_outlines(density, extent, outlines_of(field, cameras, device))
    distance = torch.from_numpy(first_distances(density, level).transpose(2, 1, 0).reshape(-1)).to(device)
    everywhere = torch.ones((section.resolution,) * 3, dtype=torch.bool, device=device)
    return TetrahedralMesh(grid, distance, colours_of(field, everywhere))


def first_distances(density: np.ndarray, level: float) -> np.ndarray:
    """Signed distances (n, n, n) float32 in cells to where density (n, n, n) equals the level, to first order, cut at FARTHEST.

    Cavities are filled, and pieces of under 1 % of what is solid left out, as of every surface. What the density's logarithm
    lacks to the level's is divided by its slope: a field falls off about exponentially, and so evenly in the logarithm.
    """
    lacking = np.log(level) - np.log(np.maximum(density, EMPTY))
    slope = np.sqrt(sum(part**2 for part in np.gradient(lacking)))
    distance = (np.abs(lacking) / np.maximum(slope, EMPTY)).clip(NEAREST, FARTHEST)
    pieces, _ = ndimage.label(density > level)
    counts = np.bincount(pieces.ravel())
    counts[0] = 0  # of what is not solid
    large = (counts > 0) & (counts >= min(SMALLEST_PIECE * counts.sum(), counts.max()))
    solid = ndimage.binary_fill_holes(large[pieces])
    return np.where(solid, -distance, distance).astype(np.float32)


def distil_on_mesh(
    guide: Guide, field: VoxelScene, cameras: Cameras, section: Magic3DSection, views: int, seed: int
) -> PaintedMeshScene:
    """The mesh of one seed: that of `field`, optimised on so many views a step from random ones of the cameras."""
    mesh = start_from(field, cameras[:: max(1, len(cameras) // OUTLINES)], section)
    if not len(mesh.surface()[1]):
        say(f"seed {seed}: the field is empty; left as it is")
        return mesh.scene()
    optimiser = torch.optim.Adam(
        [
            {"params": [mesh.distance, mesh.deformation], "lr": section.vertex_rate},
            {"params": list(mesh.colours.parameters()), "lr": section.learning_rate},
        ],
        betas=(0.9, 0.99),
    )

    def loss_at(step: int) -> Tensor:
        generator = generator_for("score distillation on a mesh", seed, step)
        seen = cameras[torch.randint(len(cameras), (views,), generator=generator)]
        return loss_of(mesh, guide, seen, section, generator)

    for _ in descend(optimiser, section.steps, loss_at):
        pass
    return mesh.scene()


def loss_of(
    mesh: TetrahedralMesh, guide: Guide, cameras: Cameras, section: Magic3DSection, generator: torch.Generator
) -> Tensor:
    """The guide's error on the mesh's views of section.image_size, and the bending of its normals."""
    vertices, faces = mesh.surface()
    if not len(faces):  # all has gone: what is least outside is pulled inside again
        return F.relu(mesh.distance.amin() + OUTSIDE)
    search, texture = FaceSearch(faces), texture_of(mesh.colours)
    fine = OVERSAMPLING * section.image_size
    views = [paint(texture, [vertices], [faces], cameras[i], fine, search) for i in range(len(cameras))]
    images = torch.cat([averaged(view, OVERSAMPLING).rgb for view in views])
    smooth = bending(vertices, faces, face_pairs(search).to(vertices.device))
    return guide.error(images, cameras, generator) + section.normal_weight * smooth
