"""Training cameras kept with a model's weights, for methods that need cameras when they make scenes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holofusion.cameras import Cameras
from holofusion.data.prepared import PreparedCategory

SHAPES = {"R": (3, 3), "T": (3,), "focal": (2,), "principal": (2,)}


class CameraPool(nn.Module):
    """`count` cameras, spread evenly over the training images; zeros until filled or loaded."""

    R: Tensor
    T: Tensor
    focal: Tensor
    principal: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        for name, shape in SHAPES.items():
            self.register_buffer(name, torch.zeros(count, *shape))

    def fill(self, data: PreparedCategory) -> None:
        """Take the cameras of the training objects."""
        rows = [row for name in data.train for row in data.frames[name]]
        chosen = torch.linspace(0, len(rows) - 1, len(self.R)).round().long().tolist()
        cameras = data.cameras[[rows[index] for index in chosen]]
        for name in SHAPES:
            getattr(self, name).copy_(getattr(cameras, name))

    @property
    def cameras(self) -> Cameras:
        return Cameras(self.R, self.T, self.focal, self.principal)
