"""Shapes, gradients, and what the U-Net knows of time and place."""

import pytest
import torch

from holofusion.networks.unet import UNet, time_features


@pytest.mark.parametrize(("dimensions", "size"), [(2, None), (3, 8)])
def test_shape_and_gradients_reach_every_parameter(dimensions, size):
    torch.manual_seed(0)
    net = UNet(dimensions, 5, 3, [8, 16], 1, size)
    for parameter in net.parameters():  # zero-initialised outputs would stop gradients
        torch.nn.init.normal_(parameter, std=0.1)
    out = net(torch.randn(2, 5, *[8] * dimensions), torch.tensor([0.1, 0.9]))
    assert out.shape == (2, 3, *[8] * dimensions)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_starts_at_zero():
    assert UNet(2, 3, 3, [8, 16], 1)(torch.randn(1, 3, 8, 8), torch.tensor([0.5])).abs().max() == 0


def test_time_features_tell_neighbouring_steps_apart():
    features = time_features((torch.arange(100) + 1) / 100, 32)
    distances = torch.cdist(features, features) + 1e9 * torch.eye(100)
    assert distances.min() > 0.1
