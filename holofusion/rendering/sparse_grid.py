"""A sparse voxel grid as a field: high resolution where something is, one shared feature elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holofusion.rendering.grids import corners, sample_grid, voxel_centres
from holofusion.rendering.occupancy import Occupancy
from holofusion.rendering.sparse_matrix import weighted_rows


class SparseGrid(nn.Module):
    """A trainable feature per active voxel, one shared feature elsewhere.

    A dense grid at distillation resolution would spend nearly all memory and optimiser time on empty space.
    `index` (n, n, n) int32 holds each voxel's row in `values` (rows, C); row 0 is the empty feature.
    """

    index: Tensor

    def __init__(self, index: Tensor, values: Tensor, extent: float) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.values = nn.Parameter(values)
        self.extent = extent

    @classmethod
    @torch.no_grad()
    def of_rows(cls, active: Tensor, values: Tensor, empty: Tensor, extent: float) -> SparseGrid:
        """Features values (K, C) at the K active voxels of a (m, m, m) mask, in order, and `empty` (1, C) elsewhere."""
        index = torch.zeros(active.numel(), dtype=torch.int32, device=active.device)
        index[active.flatten()] = torch.arange(1, len(values) + 1, dtype=torch.int32, device=active.device)
        return cls(index.reshape(active.shape), torch.cat([empty, values]), extent)

    @classmethod
    def from_file(cls, voxels: Tensor, values: Tensor, size: int, extent: float) -> SparseGrid:
        """The grid of side `size` of a file's tensors: flat indices (K,) of its active voxels, which rise, and values (K + 1, C),
        the empty feature first. Raises ValueError saying which of them does not fit."""
        if voxels.ndim != 1 or voxels.is_floating_point() or voxels.dtype == torch.bool:
            raise ValueError(f"voxels are of shape {list(voxels.shape)} and {voxels.dtype}, expected [K] whole numbers")
        index = voxels.long()
        if len(index) and not (0 <= index[0] and index[-1] < size**3 and (index.diff() > 0).all()):
            raise ValueError(f"voxels should rise from 0 to at most {size**3 - 1}, the last of a grid of side {size}")
        if values.ndim != 2 or len(values) != len(index) + 1 or not values.is_floating_point():
            shape = f"of shape {list(values.shape)} and {values.dtype}"
            raise ValueError(f"values of voxels are {shape}, expected [{len(index) + 1}, C] floating-point numbers")
        active = torch.zeros(size**3, dtype=torch.bool, device=values.device).index_fill(0, index, True)
        return cls.of_rows(active.reshape(size, size, size), values[1:], values[:1], extent)

    @classmethod
    @torch.no_grad()
    def from_dense(cls, grid: Tensor, active: Tensor, extent: float) -> SparseGrid:
        """Resample a coarse grid (1, C, n, n, n) at the active voxels of a finer (m, m, m) mask."""
        centres = voxel_centres(active.shape[0], extent).to(grid.device)[active.flatten()]
        corner = grid[:, :, 0, 0, 0]  # the cube's corner is empty space for any centred object
        return cls.of_rows(active, sample_grid(grid, centres[None], extent)[0], corner, extent)

    def forward(self, points: Tensor, values: Tensor | None = None) -> Tensor:
        """Trilinear lookup at points (N, 3) -> (N, C). values (rows, C): in place of its own."""
        index, shares = corners(points, self.index.shape[0], self.extent)
        return weighted_rows(
            self.values if values is None else values,
            self.index.flatten().index_select(0, index.flatten()).reshape(index.shape),
            shares,
        )


class SparseField:
    """A `Field` of one member: a sparse grid with its decoder, evaluated only where `occupied` (m, m, m) bool says so.

    values (rows, C): in place of the grid's own, where a network made them, which their gradients are to reach.
    """

    sees_directions = False
    channels = 3

    def __init__(self, grid: SparseGrid, decoder: nn.Module, occupied: Tensor, values: Tensor | None = None) -> None:
        self.grid, self.decoder, self.extent, self.values = grid, decoder, grid.extent, values
        self.occupancy = Occupancy(occupied, grid.extent)

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As in `Field`."""
        return self.decoder(self.grid(points, self.values))
