"""Stage 2 on a surface: fuse many super-resolved views, several hypotheses each, into one coloured mesh.

As Magic3D (Lin et al., CVPR 2023) goes from a field to a mesh: the coarse scene's level set is taken, and its vertices and
a grid of colours are optimised through a rasteriser. The targets are HoloFusion's (Karnewar et al., ICCV 2023, stage 2): every
patch is held against the hypotheses nearest to it, or with loss "mse" against the first. Beside these count the coarse scene's
silhouettes, how unevenly vertices move (the Laplacian of their offsets) and how much the normals of neighbouring faces differ.
Departs from Magic3D in what guides it, in that vertices of a fixed mesh move in place of a tetrahedral grid's, and in the
weights, which are ours.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.config.sampling import Distillation, SurfaceFusion
from holofusion.meshing.cleaning import without_floaters
from holofusion.methods.distillation import Targets, top_k_error
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.superresolution import SuperResolvedScene
from holofusion.rendering.face_search import FaceSearch
from holofusion.rendering.grids import voxel_centres
from holofusion.rendering.occupancy import dilate
from holofusion.rendering.paint import averaged, paint
from holofusion.rendering.sparse_grid import SparseGrid
from holofusion.scenes.mesh import PaintedMeshFacts, PaintedMeshScene, texture_of
from holofusion.scenes.voxel import VoxelScene
from holofusion.training.checkpoint import load_state, save_state
from holofusion.training.descent import descend
from holofusion.utils.files import UserError
from holofusion.utils.progress import say
from holofusion.utils.random import generator_for

OVERSAMPLING = 2  # a pixel of a view is averaged from that many a side, so that outlines are as smooth as photographs'
REACH = 2  # cells to each side of the first surface that have colours of their own
GAP = 0.4  # cells along an axis from any point of a face of marching cubes to its nearest corner or its middle, at most
COLOUR_MARGIN = 0.01  # first colours stay that far from 0 and 1, where the sigmoid has hardly any gradient


class MovingMesh(nn.Module):
    """A mesh whose vertices and colours are optimised.

    start (M, 3), faces (F, 3); offsets (M, 3) in units of `cell`, world units. reach: the largest offset along an axis, so that
    every point of the faces lies among colours. Neighbours are vertices that share an edge, and faces that do.
    """

    def __init__(self, start: Tensor, faces: Tensor, colours: SparseGrid, cell: float, reach: float) -> None:
        super().__init__()
        self.start, self.faces, self.colours, self.cell, self.reach = start, faces, colours, cell, reach
        self.offsets = nn.Parameter(torch.zeros_like(start))
        self.search = FaceSearch(faces)
        self.edges = torch.from_numpy(self.search.edges).to(start.device)
        self.degrees = torch.bincount(self.edges.flatten(), minlength=len(start)).clamp_min(1)[:, None]
        self.pairs = face_pairs(self.search).to(start.device)

    @property
    def vertices(self) -> Tensor:
        """Where the vertices are now (M, 3), world units."""
        return self.start + self.cell * self.offsets

    @torch.no_grad()
    def hold(self) -> None:
        """Bring back what moved out of reach."""
        self.offsets.clamp_(-self.reach, self.reach)

    def unevenness(self) -> Tensor:
        """Mean squared difference of vertices' offsets from the mean of their neighbours', in cells."""
        first, second = self.edges.unbind(1)
        around = torch.zeros_like(self.offsets).index_add(0, first, self.offsets[second])
        around = around.index_add(0, second, self.offsets[first])
        return (around / self.degrees - self.offsets).square().sum(1).mean()

    def scene(self, extent: float) -> PaintedMeshScene:
        """What it is now."""
        facts = PaintedMeshFacts(extent=extent, oversampling=OVERSAMPLING)
        return PaintedMeshScene(self.vertices.detach(), self.faces, self.colours, facts)


def face_pairs(search: FaceSearch) -> Tensor:
    """Faces (P, 2) of a search's mesh that share an edge; edges of more or fewer faces than two are left out."""
    order = np.argsort(search.numbers.ravel(), kind="stable")
    first = (np.cumsum(search.owners) - search.owners)[search.owners == 2]
    return torch.from_numpy(np.stack([order[first], order[first + 1]], 1) // 3)


def bending(vertices: Tensor, faces: Tensor, pairs: Tensor) -> Tensor:
    """1 less the cosine between the normals of neighbouring faces, in the mean (normal consistency).

    vertices (M, 3), faces (F, 3), pairs (P, 2) as `face_pairs` gives them.
    """
    first, second, third = vertices[faces].unbind(1)
    normals = F.normalize(torch.linalg.cross(second - first, third - first), dim=1, eps=1e-12)
    return 1 - (normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(1).mean()


def voxels_around(places: Tensor, size: int, extent: float, grown: int) -> Tensor:
    """Voxels (size, size, size) bool that hold one of the places (N, 3), and those up to `grown` voxels beside these."""
    active = torch.zeros((size,) * 3, dtype=torch.bool, device=places.device)
    x, y, z = ((places / extent + 1) * (size / 2)).long().clamp(0, size - 1).unbind(1)
    active[z, y, x] = True
    return dilate(active, grown)


@torch.no_grad()
def colours_of(coarse: VoxelScene, active: Tensor) -> SparseGrid:
    """A grid of colours before the sigmoid at the active voxels (n, n, n) bool: those of the coarse scene."""
    extent = coarse.facts.extent
    centres = voxel_centres(len(active), extent)[active.flatten().nonzero().squeeze(1).cpu()].to(active.device)
    logits = torch.logit(coarse.colour(centres).clamp(COLOUR_MARGIN, 1 - COLOUR_MARGIN))
    return SparseGrid.of_rows(active, logits, logits.new_zeros(1, 3), extent)


@torch.no_grad()
def start_from(coarse: VoxelScene, bank: HypothesisBank, section: SurfaceFusion) -> MovingMesh:
    """The level set of the coarse scene whose outlines are those of its renders, in its colours. It may have no faces."""
    device, extent = coarse.field.grid.device, coarse.facts.extent
    found = coarse.surface(section.cells, None, bank.cameras)
    vertices, faces = without_floaters(found.vertices, found.faces)
    start = torch.from_numpy(np.ascontiguousarray(vertices, np.float32)).to(device)
    corners = torch.from_numpy(np.ascontiguousarray(faces, np.int64)).to(device)
    grown = math.ceil(REACH * section.resolution / section.cells)
    active = voxels_around(torch.cat([start, start[corners].mean(1)]), section.resolution, extent, grown)
    grid = colours_of(coarse, active)
    cell = 2 * extent / section.cells
    return MovingMesh(start, corners, grid, cell, reach_of(grown, section, extent) / cell)


def reach_of(grown: int, section: SurfaceFusion, extent: float) -> float:
    """How far vertices may move along an axis, world units, where colours are grown by so many voxels around the first
    surface: the eight voxels around any point of the faces then have colours of their own."""
    voxel = 2 * extent / section.resolution
    spacing = 2 * extent / (section.cells - 1)  # of points from face to face of the cube
    return (grown - 0.5) * voxel - GAP * spacing


def fuse_on_surface(
    scene: SuperResolvedScene,
    bank: HypothesisBank,
    distillation: Distillation,
    section: SurfaceFusion,
    state: Path | None = None,
    stamp: str = "",
) -> PaintedMeshScene:
    """Fit a coloured mesh to a scene's bank of hypotheses.

    distillation: its loss, top_k, patch and checkpoint_every count. Goes on from the folder `state`, if one is named, where
    it holds an unfinished optimisation; raises UserError when that one's stamp differs, and for the loss "sds".
    """
    if distillation.loss == "sds":
        raise UserError("distillation.loss: sds; a surface is fused with patch_remix or mse")
    coarse, seed = scene.coarse, scene.facts.seed
    targets, mesh = Targets.of(scene, bank), start_from(coarse, bank, section)
    if not len(mesh.faces):
        say(f"seed {seed}: the coarse scene is empty; left as it is")
        return mesh.scene(coarse.facts.extent)
    optimiser = torch.optim.Adam(
        [
            {"params": list(mesh.colours.parameters()), "lr": section.learning_rate},
            {"params": [mesh.offsets], "lr": section.vertex_rate},
        ],
        betas=(0.9, 0.99),
    )
    done = load_state(state, stamp, mesh, optimiser)[0] if state else 0

    def loss_at(step: int) -> Tensor:
        return _loss(mesh, targets, distillation, section, seed, step)

    for finished in descend(optimiser, section.steps, loss_at, done):
        mesh.hold()
        if state and finished % distillation.checkpoint_every == 0:
            save_state(state, stamp, finished, section.steps, 0.0, mesh, optimiser)
    if state:
        shutil.rmtree(state, ignore_errors=True)
    return mesh.scene(coarse.facts.extent)


def _loss(
    mesh: MovingMesh, targets: Targets, distillation: Distillation, section: SurfaceFusion, seed: int, step: int
) -> Tensor:
    """All patches of one view that show something, its silhouette, and the regularisation. All views are seen in turn, each
    round in another order."""
    count, size = len(targets.cameras), targets.bank.shape[-1]
    view = int(torch.randperm(count, generator=generator_for("views", seed, step // count))[step % count])
    camera, device = targets.cameras[view], targets.bank.device
    vertices = mesh.vertices
    fine = paint(texture_of(mesh.colours), [vertices], [mesh.faces], camera, OVERSAMPLING * size, mesh.search)
    seen = averaged(fine, OVERSAMPLING)
    shape = section.smoothness * mesh.unevenness() + section.normal_weight * bending(vertices, mesh.faces, mesh.pairs)
    generator = generator_for("patches", seed, step)
    pixels = lattice_of(size, distillation.patch, targets.candidates[view], generator).to(device, non_blocking=True)
    if not len(pixels):
        return shape
    render = seen.rgb[0].flatten(1).T[pixels]  # (P, n, 3)
    used = 1 if distillation.loss == "mse" else targets.bank.shape[1]
    hypotheses = targets.bank[view, :used].flatten(2)[:, :, pixels].permute(2, 0, 3, 1)  # (P, K, n, 3)
    error = top_k_error(render, hypotheses, min(distillation.top_k, used))
    opacity = F.interpolate(targets.low[view : view + 1, 3:], size=(size, size), mode="bilinear", align_corners=False)
    silhouette = (seen.alpha - opacity).flatten()[pixels].square().mean()
    return error + section.silhouette_weight * silhouette + shape


def lattice_of(size: int, patch: int, candidates: Tensor, generator: torch.Generator) -> Tensor:
    """Pixels (P, patch * patch), on the CPU, of all patches of a lattice with a random offset that hold one of the candidates
    (size, size) bool. Patches cut off by the border are left out."""
    offset = torch.randint(patch, (2,), generator=generator)
    corners = [torch.arange(int(first), size - patch + 1, patch) for first in offset]
    inside = torch.arange(patch)
    rows, columns = (part[:, None] + inside for part in corners)
    pixels = (rows[:, None, :, None] * size + columns[None, :, None, :]).reshape(-1, patch**2)
    return pixels[candidates.flatten()[pixels].any(1)]
