"""Ray marching against PyTorch3D's marcher, and against closed forms."""

import math

import pytest
import torch

from holofusion.rendering.volume import (
    absorption_weights,
    composite,
    cube_interval,
    importance_depths,
    render_rays,
    stratified_depths,
)


def test_march_equals_pytorch3d():
    marcher = pytest.importorskip("pytorch3d.renderer").EmissionAbsorptionRaymarcher()
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(2, 7, 20, generator=generator) * 8
    colour = torch.rand(2, 7, 20, 3, generator=generator)
    depths = torch.rand(2, 7, 20, generator=generator).sort(-1).values + 1
    far = depths[..., -1] + 0.1
    ours = composite(density, colour, depths, far)
    opacity = 1 - torch.exp(-density * (torch.cat([depths[..., 1:], far[..., None]], -1) - depths))
    theirs = marcher(opacity[..., None], colour)
    white = theirs[..., :3] + (1 - theirs[..., 3:])
    assert torch.allclose(ours.rgb, white, atol=1e-5)
    assert torch.allclose(ours.alpha, theirs[..., 3], atol=1e-5)


def test_homogeneous_cube_absorbs_by_beer_lambert():
    origins = torch.tensor([[[0.0, 0.0, -3.0], [5.0, 5.0, -3.0]]])
    directions = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])

    def field(points):
        return torch.full(points.shape[:2], 0.7), torch.zeros(*points.shape[:2], 3)

    rendered = render_rays(field, origins, directions, 1.0, 400, 0)
    assert rendered.alpha[0, 0].item() == pytest.approx(1 - math.exp(-0.7 * 2), abs=2e-3)
    assert rendered.rgb[0, 0, 0].item() == pytest.approx(math.exp(-0.7 * 2), abs=2e-3)
    assert rendered.alpha[0, 1].item() == 0.0
    assert torch.equal(rendered.rgb[0, 1], torch.ones(3))


def test_importance_samples_find_a_thin_wall_and_its_depth():
    origins = torch.tensor([[[0.0, 0.0, -3.0]]])
    directions = torch.tensor([[[0.0, 0.0, 1.0]]])

    def field(points):
        wall = (points[..., 2].abs() < 0.06).float()
        return 60 * wall, wall[..., None].expand(*wall.shape, 3) * torch.tensor([1.0, 0.0, 0.0])

    rendered = render_rays(field, origins, directions, 1.0, 24, 16)
    assert rendered.depth[0, 0].item() == pytest.approx(2.94, abs=0.08)
    assert rendered.alpha[0, 0].item() > 0.95
    assert rendered.rgb[0, 0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=0.05)


def test_skipping_empty_space_changes_nothing():
    class Ball:
        def __call__(self, points):
            inside = (points.norm(dim=-1) < 0.5).float()
            return 30 * inside, points.abs().clamp(0, 1)

    class SkippingBall(Ball):
        def occupied(self, points):
            return points.norm(dim=-1) < 0.6

    generator = torch.Generator().manual_seed(1)
    origins = torch.tensor([0.0, 0.0, -3.0]).expand(1, 50, 3)
    directions = torch.nn.functional.normalize(
        torch.cat([0.3 * torch.randn(1, 50, 2, generator=generator), torch.ones(1, 50, 1)], -1), dim=-1
    )
    plain = render_rays(Ball(), origins, directions, 1.0, 24, 16)
    skipped = render_rays(SkippingBall(), origins, directions, 1.0, 24, 16)
    assert torch.equal(plain.rgb, skipped.rgb)
    assert torch.equal(plain.alpha, skipped.alpha)


def test_cube_interval_and_depths():
    near, far = cube_interval(torch.tensor([[[0.0, 0.0, -3.0]]]), torch.tensor([[[0.0, 0.0, 1.0]]]), 0.5)
    assert (near.item(), far.item()) == (2.5, 3.5)
    assert stratified_depths(near, far, 4, None)[0, 0].tolist() == [2.625, 2.875, 3.125, 3.375]
    drawn = stratified_depths(near, far, 4, torch.Generator().manual_seed(0))[0, 0]
    assert all(2.5 + i / 4 <= value <= 2.75 + i / 4 for i, value in enumerate(drawn.tolist()))


def test_importance_depths_follow_the_weights():
    depths = torch.linspace(0, 1, 11).reshape(1, 1, 11)
    weights = torch.zeros(1, 1, 11)
    weights[..., 4] = 1.0
    drawn = importance_depths(depths, weights, 64, torch.Generator().manual_seed(0))
    assert ((drawn > 0.34) & (drawn < 0.46)).float().mean() > 0.95


def test_weights_sum_to_at_most_one():
    weights = absorption_weights(torch.rand(5, 30, generator=torch.Generator().manual_seed(0)))
    assert (weights >= 0).all()
    assert (weights.sum(-1) <= 1 + 1e-6).all()
