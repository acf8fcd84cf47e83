"""Shapes, gradients, and what the U-Net knows of time and place."""

import pytest
import torch

from holofusion.networks.unet import UNet, fold, layout_of, time_features, unfold


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


@pytest.mark.parametrize("dimensions", [2, 3])
def test_folding_gathers_neighbours_and_can_be_undone(dimensions):
    x = torch.randn(2, 3, *[4, 6, 8][:dimensions])
    assert torch.equal(unfold(fold(x)), x)
    block = x[(1, 2) + (slice(2, 4),) * dimensions].flatten()
    assert torch.equal(fold(x)[(1, slice(2 * 2**dimensions, 3 * 2**dimensions)) + (1,) * dimensions], block)


def test_starts_at_zero():
    assert UNet(2, 3, 3, [8, 16], 1)(torch.randn(1, 3, 8, 8), torch.tensor([0.5])).abs().max() == 0


def test_time_features_tell_neighbouring_steps_apart():
    features = time_features((torch.arange(100) + 1) / 100, 32)
    distances = torch.cdist(features, features) + 1e9 * torch.eye(100)
    assert distances.min() > 0.1


@pytest.mark.parametrize(
    ("channels", "precision", "last"),
    [([8, 255], "fp32", True), ([8, 256], "fp32", False), ([8, 256], "bf16", True)],
)
def test_channels_come_first_in_wide_networks_without_bf16(channels, precision, last, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert layout_of(2, channels, precision) == (torch.channels_last if last else torch.contiguous_format)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert layout_of(3, channels, precision) == torch.channels_last_3d


def test_the_layout_changes_no_result():
    torch.manual_seed(0)
    first = UNet(3, 5, 3, [8, 256], 1, 4, "fp32")
    last = UNet(3, 5, 3, [8, 256], 1, 4, "bf16")
    for parameter in first.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    last.load_state_dict(first.state_dict())
    assert first.input.weight.is_contiguous() != last.input.weight.is_contiguous()
    x, time = torch.randn(2, 5, 4, 4, 4), torch.tensor([0.1, 0.9])
    found = [net(x, time) for net in (first, last)]
    assert torch.allclose(*found, rtol=1e-4, atol=1e-4 * float(found[0].abs().max()))
    for output in found:
        output.square().sum().backward()
    gradients = [net.down[1][0].conv_in.weight.grad for net in (first, last)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[0].abs().max()))
