"""Refinement moves each grid towards the views of its own object."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from holofusion.cameras import turntable
from holofusion.methods.refinement import refine
from holofusion.rendering.grids import DenseField, voxel_centres
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays

CAMERAS = turntable(8, 20.0, 5.0, 2.5)


class BallDecoder(nn.Module):
    """Features (density, red, green, blue) shown as they are."""

    def forward(self, features):
        return 20 * features[..., 0].clamp_min(0), features[..., 1:].clamp(0, 1)


def ball(colour) -> torch.Tensor:
    inside = (voxel_centres(8, 1.0).norm(dim=1) < 0.7).float()
    return torch.stack([inside, *(inside * part for part in colour)]).reshape(1, 4, 8, 8, 8)


def look(grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (8, 3, 16, 16) and masks (8, 1, 16, 16) of a grid, from all cameras."""
    field = DenseField(grid.expand(8, -1, -1, -1, -1), BallDecoder(), 1.0)
    seen = render_rays(field, Rays.through(CAMERAS, 16), 24, 8)
    shape = (8, -1, 16, 16)
    return seen.rgb.transpose(1, 2).reshape(shape), seen.alpha[:, None].reshape(shape)


@pytest.fixture
def data():
    """Two captured objects: a red ball and a blue one, eight views each."""
    images, masks = (
        torch.cat(parts) for parts in zip(look(ball((0.9, 0.2, 0.1))), look(ball((0.1, 0.2, 0.9))), strict=True)
    )
    return SimpleNamespace(
        train=["red", "blue"],
        frames={"red": list(range(8)), "blue": list(range(8, 16))},
        batch=lambda rows: (images[rows], masks[rows], CAMERAS[torch.tensor(rows) % 8]),
    )


def settings(steps: int):
    return SimpleNamespace(
        volume=SimpleNamespace(resolution=8, extent=1.0, precision="fp32"),
        rendering=SimpleNamespace(
            image_size=16, coarse_samples=24, importance_samples=8, occupied_samples=32, empty_density=0.5
        ),
        warmup=SimpleNamespace(batch=1, rays=96, mask_weight=0.2),
        refinement=SimpleNamespace(steps=steps, learning_rate=0.05, views=2),
    )


def test_each_grid_takes_on_the_colour_of_its_own_object(data):
    grey = ball((0.5, 0.5, 0.5))
    refined = refine(grey.repeat(2, 1, 1, 1, 1), BallDecoder(), data, settings(150), 0)
    for index, name in enumerate(data.train):
        truth = data.batch(data.frames[name])[0]
        before = (look(grey)[0] - truth).square().mean()
        after = (look(refined[index : index + 1])[0] - truth).square().mean()
        assert after < 0.3 * before


def test_no_steps_leave_the_grids_as_they_are(data):
    grids = torch.randn(2, 4, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(refine(grids, BallDecoder(), data, settings(0), 0), grids)
