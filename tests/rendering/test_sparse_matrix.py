"""Weighted sums of rows, and their gradient, against the plain formula."""

import torch

from holofusion.rendering.sparse_matrix import weighted_rows


def test_sum_and_gradient_are_those_of_indexing():
    torch.manual_seed(0)
    table = torch.randn(7, 3, requires_grad=True)
    index, weight = torch.randint(5, (40, 4)), torch.randn(40, 4)  # the last two rows are nobody's
    target = torch.randn(40, 3)
    plain = (table[index] * weight[..., None]).sum(1)
    (expected,) = torch.autograd.grad((plain * target).sum(), table)
    found = weighted_rows(table, index, weight)
    (gradient,) = torch.autograd.grad((found * target).sum(), table)
    assert torch.allclose(found, plain, atol=1e-5)
    assert torch.allclose(gradient, expected, atol=1e-5)
    assert not gradient[5:].any()


def test_nothing_to_gather():
    table = torch.randn(3, 2, requires_grad=True)
    found = weighted_rows(table, torch.zeros(0, 8, dtype=torch.long), torch.zeros(0, 8))
    found.sum().backward()
    assert found.shape == (0, 2) and not table.grad.any()
