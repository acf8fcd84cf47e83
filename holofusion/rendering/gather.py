"""Interpolation as a weighted sum of a table's rows, with a backward pass that is a weighted sum of rows as well."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_rows(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sum over k of weight (N, k) times the rows of table (R, C) that index (N, k) names -> (N, C).

    Gradients reach the table alone.
    """
    return _WeightedRows.apply(table, index, weight.to(table.dtype))


class _WeightedRows(torch.autograd.Function):
    """The gradient of a row gathers what its users got. Sorting the users by row is three times as fast as adding up."""

    @staticmethod
    def forward(ctx, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.rows = len(table)
        return F.embedding_bag(index, table, mode="sum", per_sample_weights=weight)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        used, order = torch.sort(index.flatten(), stable=True)
        starts = torch.searchsorted(used, torch.arange(ctx.rows, dtype=used.dtype, device=used.device))
        users = torch.div(order, index.shape[1], rounding_mode="trunc")
        found = F.embedding_bag(
            users, gradient.contiguous(), starts, mode="sum", per_sample_weights=weight.flatten().index_select(0, order)
        )
        return found, None, None
