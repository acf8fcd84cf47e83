"""Scenes that are one network's field, whose colour depends on the direction of view: pi-GAN's and GRAF's."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from holofusion.cameras import Cameras
from holofusion.config.params import Volume
from holofusion.meshing.mesh import Mesh
from holofusion.meshing.surface import surface_mesh
from holofusion.rendering.field import Field
from holofusion.rendering.views import Views, render_field
from holofusion.scenes.base import Scene


class ImplicitFacts(Protocol):
    """Facts of such a scene: at least these."""

    @property
    def volume(self) -> Volume: ...


class ImplicitScene(Scene):
    """One latent's field. Its colour depends on the view direction: nothing forces one identity from all sides.

    samples: evenly spaced points per ray, and further ones where these met density. device: the field's.
    """

    facts: ImplicitFacts

    def __init__(self, field: Field, samples: tuple[int, int], device: torch.device, facts: ImplicitFacts) -> None:
        self.field, self.samples, self.device, self.facts = field, samples, device, facts

    def render(self, cameras: Cameras, size: int) -> Views:
        """As in `Scene`."""
        return render_field(self.field, cameras, size, self.samples, self.facts.volume.precision)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density (N,) per world unit at points (N, 3)."""
        return self.field.query(points)[0]

    def colour(self, points: Tensor) -> Tensor:
        """Colour (N, 3) in [0, 1] at points (N, 3) of the surface, as seen from straight in front of it: along the
        direction in which density rises, which is minus the outward normal."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            inwards = torch.autograd.grad(self.field.query(points)[0].sum(), points)[0]
        with torch.no_grad():
            return self.field.query(points, F.normalize(inwards, dim=1))[1]

    def surface(self, resolution: int = 128, level: float | None = None, cameras: Cameras | None = None) -> Mesh:
        """As in `Scene`."""
        return surface_mesh(self, resolution, level, self.facts.volume.extent, self.device, cameras)
