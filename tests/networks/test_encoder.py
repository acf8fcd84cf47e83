"""Unprojection against a known coloured grid, pooling against hand-worked values."""

import torch

from holofusion.cameras import turntable
from holofusion.networks.encoder import VoxelEncoder, pool_views, unproject
from holofusion.rendering.grids import DenseField, voxel_centres
from holofusion.rendering.volume import render_rays

SIZE, RESOLUTION = 64, 12


def colours_as_features(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A decoder for grids of (density, red, green, blue)."""
    return features[..., 0].clamp_min(0), features[..., 1:].clamp(0, 1)


def render(grid: torch.Tensor, cameras) -> torch.Tensor:
    field = DenseField(grid.expand(len(cameras), -1, -1, -1, -1), colours_as_features, 1.0)
    origins, directions = cameras.rays(SIZE)
    rgb = render_rays(field, origins, directions, 1.0, 64, 32).rgb
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
    found, valid = unproject(images, cameras, RESOLUTION, 1.0)
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


def test_voxels_outside_the_image_or_behind_are_invalid():
    camera = turntable(1, 0.0, 0.5, 1.0)  # inside the cube
    _, valid = unproject(torch.zeros(1, 3, 8, 8), camera, 8, 1.0)
    ndc, depth = camera.project(voxel_centres(8, 1.0))
    assert torch.equal(valid[0, 0].bool(), (ndc[0].abs().amax(-1) <= 1) & (depth[0] > 0))
    assert 0 < valid.mean() < 1


def test_pooling_is_mean_and_deviation_of_valid_views():
    features = torch.tensor([1.0, 3.0, 100.0]).reshape(1, 3, 1, 1)
    valid = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 3, 1, 1)
    assert torch.allclose(pool_views(features, valid).flatten(), torch.tensor([2.0, 1.0]), atol=2e-3)
    assert torch.allclose(pool_views(features, 0 * valid), torch.zeros(1, 2, 1), atol=1e-6)


def test_encoder_ignores_the_order_of_views():
    torch.manual_seed(0)
    encoder, cameras = VoxelEncoder(8, 4, 8, 1.0), turntable(5, 10.0, 5.0, 2.0)
    images, masks = torch.rand(1, 5, 3, 32, 32), torch.rand(1, 5, 1, 32, 32)
    order = torch.tensor([3, 1, 4, 0, 2])
    straight = encoder(images, masks, cameras)
    shuffled = encoder(images[:, order], masks[:, order], cameras[order])
    assert straight.shape == (1, 4, 8, 8, 8)
    assert torch.allclose(straight, shuffled, atol=1e-4)
