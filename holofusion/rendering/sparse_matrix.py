"""Interpolation as a product with a sparse matrix: every result is a weighted sum of a table's rows.

Why: the gradient of `grid_sample` adds into the grid point by point on CPUs (torch 2.12); `embedding_bag` and its transpose
gather instead. Measured by `benchmarks/rendering.py`, tested against plain indexing. Delete when the gradient of
`grid_sample` at a few per cent of a grid's points is as fast as its forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class SparseMatrix:
    """Row n holds weight (M,) at the columns index (M,), for the entries from starts[n] on, up to the next row's."""

    index: Tensor
    weight: Tensor
    starts: Tensor

    def __matmul__(self, table: Tensor) -> Tensor:
        """The product with table (columns, C) -> (rows, C)."""
        return F.embedding_bag(self.index, table, self.starts, mode="sum", per_sample_weights=self.weight)

    def transposed(self, columns: int) -> SparseMatrix:
        """The transpose of a matrix of so many columns. Sorting entries by column is cheaper than adding them up there."""
        ends = torch.cat([self.starts[1:], self.starts.new_full((1,), len(self.index))])
        rows = torch.arange(len(self.starts), dtype=self.index.dtype, device=self.index.device)
        rows = rows.repeat_interleave(ends - self.starts, output_size=len(self.index))
        used, order = torch.sort(self.index, stable=True)
        starts = torch.searchsorted(used, torch.arange(columns, dtype=used.dtype, device=used.device))
        return SparseMatrix(
            rows.index_select(0, order), self.weight.index_select(0, order), starts.to(self.index.dtype)
        )


def weighted_rows(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sum over k of weight (N, k) times the rows of table (R, C) that index (N, k) names -> (N, C).

    Gradients reach the table alone.
    """
    return _WeightedRows.apply(table, index, weight.to(table.dtype))


class _WeightedRows(torch.autograd.Function):
    """The gradient of a row of the table gathers what its users got: the product with the transpose."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        starts = torch.arange(0, index.numel(), index.shape[1], dtype=index.dtype, device=index.device)
        parts = (index.flatten(), weight.flatten(), starts)
        ctx.save_for_backward(*parts)
        ctx.rows = len(table)
        return SparseMatrix(*parts) @ table

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return SparseMatrix(*ctx.saved_tensors).transposed(ctx.rows) @ gradient.contiguous(), None, None
