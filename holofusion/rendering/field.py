"""The interface of radiance fields inside the cube [-extent, extent]^3."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from holofusion.rendering.occupancy import Occupancy


class Field(Protocol):
    """The radiance fields of B members of a batch.

    channels: length of the colour: 3, or any number of features in its place. occupancy: what is known of empty space;
    None: nothing. sees_directions: whether the colour depends on the direction of view.
    """

    @property
    def channels(self) -> int: ...

    @property
    def extent(self) -> float: ...

    @property
    def occupancy(self) -> Occupancy | None: ...

    @property
    def sees_directions(self) -> bool: ...

    def query(
        self, points: Tensor, directions: Tensor | None = None, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Density (K,) >= 0 per world unit and colour (K, channels), in [0, 1] over white, at points (K, 3), world units.

        directions (K, 3): unit vectors from the eye; given to a field that sees them, None to others. member (K,): the
        member of the batch that each point belongs to, given to fields with an occupancy that skips; None: the points are
        those of all members in turn, equally many of each.
        """
        ...
