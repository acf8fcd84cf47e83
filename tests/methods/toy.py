"""The smallest method that the pipeline can take: a coloured ball whose colour is learned. And its kind of scene."""

from __future__ import annotations

import torch
from torch import nn

from holofusion.config.params import Volume
from holofusion.config.section import Section
from holofusion.meshing.surface import surface_mesh
from holofusion.methods.base import Method
from holofusion.rendering.views import Views
from holofusion.scenes.base import Scene


class BallFacts(Section):
    radius: float


class Ball(Scene):
    kind = "toy_ball"
    Facts = BallFacts

    def __init__(self, paint, facts):
        self.paint, self.facts = paint, facts

    def render(self, cameras, size):
        row = torch.linspace(-1, 1, size)
        alpha = (row[:, None] ** 2 + row[None] ** 2 < 0.5).float().expand(len(cameras), 1, -1, -1)
        return Views(1 - alpha * (1 - self.paint.reshape(1, 3, 1, 1)), alpha, alpha)

    def density(self, points):
        return 100 * (points.norm(dim=1) < self.facts.radius).float()

    def colour(self, points):
        return self.paint.expand(len(points), 3)

    def surface(self, resolution=128, level=None, cameras=None):
        return surface_mesh(self, resolution, level, 1.0, cameras=cameras)

    def tensors(self):
        return {"paint": self.paint.detach()}

    @classmethod
    def from_tensors(cls, tensors, facts):
        return cls(tensors["paint"], facts)


class Toy(Method):
    objects_per_batch, views_per_object, steps, ema, checkpoint_every = 2, 1, 2, 0.5, 1

    def __init__(self, volume: Volume):
        super().__init__()
        self.colour = nn.Parameter(torch.zeros(3))

    def parameter_groups(self):
        return [{"params": list(self.parameters()), "lr": 0.1}]

    def training_step(self, batch, step, generator):
        return {"loss": (batch.images.mean((0, 1, 3, 4)) - self.colour).square().mean()}

    def sample(self, request):
        return Ball(self.colour.detach() + 0.1 * request.seed, BallFacts(radius=0.5))
