"""Counted operations against those worked out by hand."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.unet import SIDE, matrix_product, operations


def test_a_convolution_and_its_backward_pass() -> None:
    conv, grid = nn.Conv3d(4, 6, 3, padding=1), torch.randn(2, 4, 5, 5, 5)
    forward = 2 * (2 * 5**3) * 6 * 4 * 3**3
    assert operations(lambda: conv(grid)) == forward
    # the input needs no gradient, so only the weights' is worked out
    assert operations(lambda: conv(grid).sum().backward()) == 2 * forward
    assert operations(lambda: conv(grid.clone().requires_grad_()).sum().backward()) == 3 * forward


def test_the_product_that_stands_for_the_peak() -> None:
    assert operations(matrix_product(torch.float32)) == 2 * SIDE**3
