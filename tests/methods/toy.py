"""The smallest method that the pipeline can take: a coloured ball whose colour is learned."""

from __future__ import annotations

import torch
from torch import nn

from holofusion.scenes.voxel import Views


class Ball:
    def __init__(self, paint, settings):
        self.paint, self.settings = paint, settings

    def render(self, cameras, size):
        row = torch.linspace(-1, 1, size)
        alpha = (row[:, None] ** 2 + row[None] ** 2 < 0.5).float().expand(len(cameras), 1, -1, -1)
        return Views(1 - alpha * (1 - self.paint.reshape(1, 3, 1, 1)), alpha, alpha)

    def density(self, points):
        return 100 * (points.norm(dim=1) < 0.5).float()

    def colour(self, points):
        return self.paint.expand(len(points), 3)

    def tensors(self):
        return {"paint": self.paint.detach()}

    @classmethod
    def from_tensors(cls, tensors, settings):
        return cls(tensors["paint"], settings)


class Toy(nn.Module):
    scene_class = Ball
    objects_per_batch, views_per_object, steps, ema, checkpoint_every = 2, 1, 2, 0.5, 1

    def __init__(self, settings):
        super().__init__()
        self.settings, self.colour = settings, nn.Parameter(torch.zeros(3))

    def parameter_groups(self):
        return [{"params": list(self.parameters()), "lr": 0.1}]

    def training_step(self, batch, step, generator):
        return {"loss": (batch.images.mean((0, 1, 3, 4)) - self.colour).square().mean()}

    def sample(self, seed):
        return Ball(self.colour.detach() + 0.1 * seed, self.settings)
