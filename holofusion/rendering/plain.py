"""Plain grids: density and colour per voxel, without a network. Reconstructions and decoded codes are such grids.

A plain grid (4, n, n, n) spans [-EXTENT, EXTENT]^3, axes z, y, x. Channel 0 is density before the softplus, which is scaled
by DENSITY_SCALE to give density per world unit; the others are red, green and blue before the sigmoid.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from holofusion.rendering.grids import PlainDecoder, sample_grid
from holofusion.rendering.occupancy import Occupancy, dilate

EXTENT, DENSITY_SCALE = 1.0, 20.0
EMPTY = 1.0  # density per world unit below which space is skipped


def occupied(grids: Tensor, grow: int = 1) -> Tensor:
    """Voxels (B, n, n, n) bool of plain grids (B, 4, n, n, n) that are not empty, grown by `grow` voxels."""
    return dilate(DENSITY_SCALE * F.softplus(grids[:, 0].detach()) > EMPTY, grow)


class PlainField:
    """A `Field` of one member: a plain grid (1, 4, n, n, n), through which gradients pass.

    Looked up by torch's own trilinear sampling: for so few channels its backward pass is up to twice as fast as that of
    `DenseField`.
    """

    channels = 3
    extent = EXTENT
    sees_directions = False

    def __init__(self, grid: Tensor, occupancy: Occupancy | None = None) -> None:
        self.grid, self.occupancy, self.decoder = grid, occupancy, PlainDecoder(DENSITY_SCALE)

    @classmethod
    def skipping(cls, grid: Tensor, known: Tensor | None = None) -> PlainField:
        """The field without its empty space. known (n, n, n) bool: what is not empty; None: found out."""
        return cls(grid, Occupancy(occupied(grid)[0] if known is None else known, EXTENT))

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As in `Field`."""
        density, colour = self.decoder(sample_grid(self.grid, points[None], self.extent)[0])
        return density, colour
