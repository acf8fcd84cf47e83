"""Group norm and its gradients against PyTorch's own."""

import pytest
import torch
from torch.nn import functional as F

from holofusion.networks.group_norm import group_norm


@pytest.mark.parametrize("shape", [(3, 16, 5, 5), (2, 8, 4, 4, 4)])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_result_and_gradients_are_pytorchs(shape: tuple[int, ...], shared: bool, last: bool) -> None:
    torch.manual_seed(0)
    x = 3 * torch.randn(shape, dtype=torch.float64) + 1
    if last:
        x = x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
    weight, bias = torch.randn(2, 1 if shared else len(x), shape[1], dtype=torch.float64)
    inputs, target = [part.requires_grad_() for part in (x, weight, bias)], torch.randn_like(x)
    per_channel = (-1, shape[1], *[1] * (len(shape) - 2))
    expected = F.group_norm(x, 4) * weight.reshape(per_channel) + bias.reshape(per_channel)
    found = group_norm(x, 4, weight, bias)
    assert torch.allclose(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad((found * target).sum(), inputs),
        torch.autograd.grad((expected * target).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(ours.double(), theirs, atol=1e-6), "sums are kept in single precision"
    with torch.no_grad():
        assert torch.allclose(group_norm(x, 4, weight, bias), expected)
