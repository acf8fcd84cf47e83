"""Unprojection against a known coloured grid, pooling against hand-worked values."""

import torch
from torch.nn import functional as F

from holofusion.cameras import turntable
from holofusion.networks.encoder import VoxelEncoder, pool_views, unproject
from holofusion.rendering.grids import DenseField, voxel_centres
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays

SIZE, RESOLUTION = 64, 12


def colours_as_features(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A decoder for grids of (density, red, green, blue)."""
    return features[..., 0].clamp_min(0), features[..., 1:].clamp(0, 1)


def render(grid: torch.Tensor, cameras) -> torch.Tensor:
    field = DenseField(grid.expand(len(cameras), -1, -1, -1, -1), colours_as_features, 1.0)
    rgb = render_rays(field, Rays.through(cameras, SIZE), 64, 32).rgb
    return rgb.transpose(1, 2).reshape(-1, 3, SIZE, SIZE)


def coloured_ball() -> torch.Tensor:
    """A ball whose colour changes slowly over its surface: every point shows the same colour to all cameras that see it."""
    centres = voxel_centres(RESOLUTION, 1.0)
    density = 40 * torch.sigmoid((0.6 - centres.norm(dim=1)) * 20)
    colour = 0.5 + 0.4 * centres / centres.norm(dim=1, keepdim=True)
    return torch.cat([density[:, None], colour], 1).T.reshape(1, 4, RESOLUTION, RESOLUTION, RESOLUTION)


def test_unprojecting_renders_of_a_grid_recovers_its_images():
    grid, cameras = coloured_ball(), turntable(12, 20.0, 6.0, 3.0)
    images = render(grid, cameras)
    pixels, shares = unproject(cameras, SIZE, RESOLUTION, 1.0)
    found = (images.flatten(2)[torch.arange(12)[:, None, None], :, pixels.long()] * shares[..., None]).sum(2).mT
    valid = shares.sum(-1)[:, None]
    centres = voxel_centres(RESOLUTION, 1.0)
    # a voxel's colour is what the cameras on its side of the ball see where it projects
    towards = torch.einsum("vi,pi->vp", cameras.centers(), centres)[:, None]
    weight = valid * (towards / towards.abs().amax(0).clamp_min(1e-6)).clamp_min(0) ** 4 + 1e-9
    colour = (weight * found).sum(0) / weight.sum(0)
    rebuilt = torch.cat([grid[:, :1], colour.reshape(1, 3, RESOLUTION, RESOLUTION, RESOLUTION)], 1)
    error = (render(rebuilt, cameras) - images).square().mean()
    mirrored = (render(rebuilt.flip(-1), cameras) - images).square().mean()
    assert error < 2e-3
    assert mirrored > 5 * error  # the test would notice a flipped axis


def test_pixels_and_shares_are_those_of_a_bilinear_lookup():
    cameras, features = turntable(3, 20.0, 3.0, 3.0), torch.rand(3, 2, 9, 9)
    pixels, shares = unproject(cameras, 9, 6, 1.0)
    ndc, _ = cameras.project(voxel_centres(6, 1.0))
    expected = F.grid_sample(features, -ndc[:, :, None], align_corners=False)[..., 0]
    expected *= (ndc.abs().amax(-1) <= 1)[:, None]
    found = (features.flatten(2)[torch.arange(3)[:, None, None], :, pixels.long()] * shares[..., None]).sum(2).mT
    assert (shares.sum(-1) == 0).any() and (shares.sum(-1) > 0.9).any()
    assert torch.allclose(found, expected, atol=1e-5)


def test_voxels_outside_the_image_or_behind_have_no_share():
    camera = turntable(1, 0.0, 0.5, 1.0)  # inside the cube
    _, shares = unproject(camera, 8, 8, 1.0)
    ndc, depth = camera.project(voxel_centres(8, 1.0))
    assert torch.equal(shares[0].sum(-1) > 0, (ndc[0].abs().amax(-1) <= 1) & (depth[0] > 0))
    assert 0 < (shares > 0).float().mean() < 1


def test_pooling_is_mean_and_deviation_of_the_views_that_see():
    features = torch.tensor([1.0, 3.0, 100.0]).reshape(3, 1, 1, 1).requires_grad_()
    pixels, shares = torch.zeros(3, 1, 4, dtype=torch.int32), torch.full((3, 1, 4), 0.25)
    shares[2] = 0
    mean, deviation = pool_views(features, pixels, shares, objects=1)
    assert torch.allclose(torch.cat([mean, deviation]).flatten(), torch.tensor([2.0, 1.0]), atol=2e-3)
    # of the mean of two by either, and of their deviation |a - b| / 2
    assert torch.allclose(
        torch.autograd.grad(mean[0, 0], features, retain_graph=True)[0].flatten(), torch.tensor([0.5, 0.5, 0.0])
    )
    assert torch.allclose(
        torch.autograd.grad(deviation[0, 0], features)[0].flatten(), torch.tensor([-0.5, 0.5, 0.0]), atol=1e-3
    )
    unseen = pool_views(features, pixels, 0 * shares, objects=1)
    assert torch.allclose(torch.cat(unseen), torch.zeros(2, 1), atol=1e-6)


def test_encoder_ignores_the_order_of_views():
    torch.manual_seed(0)
    encoder, cameras = VoxelEncoder(8, 4, 8, 1.0), turntable(5, 10.0, 5.0, 2.0)
    images, masks = torch.rand(1, 5, 3, 32, 32), torch.rand(1, 5, 1, 32, 32)
    order = torch.tensor([3, 1, 4, 0, 2])
    straight = encoder(images, masks, cameras)
    shuffled = encoder(images[:, order], masks[:, order], cameras[order])
    assert straight.shape == (1, 4, 8, 8, 8)
    assert torch.allclose(straight, shuffled, atol=1e-4)
