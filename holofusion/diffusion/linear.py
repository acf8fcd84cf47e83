"""The best linear denoiser of a data set, in closed form. Networks correct it instead of learning it.

For Gaussian data of covariance S the expected clean signal is alpha S (alpha^2 S + sigma^2)^-1 x_t (Wiener). S is
taken as in probabilistic principal components (Tipping and Bishop 1999): some directions with a variance each, one
variance for all others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearDenoiser(nn.Module):
    """Clean signals (B, *shape) from noisy ones, for zero-mean signals like those it was fitted to.

    The buffer `rest` is the residual variance, that of all other directions; its name is part of saved weights.
    """

    directions: Tensor
    variances: Tensor
    rest: Tensor

    def __init__(self, shape: tuple[int, ...], rank: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(rank, *shape))
        self.register_buffer("variances", torch.zeros(rank))
        self.register_buffer("rest", torch.ones(()))

    @torch.no_grad()
    def fit(self, signals: Tensor) -> None:
        """Set directions and variances from zero-mean signals (N, *shape); at most N - 1 directions are used."""
        flat = signals.flatten(1).double()
        count, size = flat.shape
        rank = min(len(self.variances), count - 1)
        # the small N x N problem has the same variances as the size x size one
        variances, weights = torch.linalg.eigh(flat @ flat.T / count)
        variances, weights = variances.flip(0)[:rank], weights.flip(1)[:, :rank]
        directions = (weights.T @ flat) / (count * variances[:, None]).clamp_min(1e-12).sqrt()
        self.directions.zero_()[:rank] = directions.to(self.directions).reshape(rank, *signals.shape[1:])
        self.variances.zero_()[:rank] = variances.to(self.variances)
        residual_variance = (flat.square().sum() / count - variances.sum()).clamp_min(0) / (size - rank)
        self.rest.copy_(residual_variance)

    def forward(self, noisy: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """noisy (B, *shape) = alpha * clean + sigma * noise -> estimate of clean; alpha, sigma broadcast over noisy."""
        alpha, sigma = alpha.reshape(-1, 1), sigma.reshape(-1, 1)
        flat, directions = noisy.flatten(1), self.directions.flatten(1)
        residual_gain = alpha * self.rest / (alpha**2 * self.rest + sigma**2)
        gain = alpha * self.variances / (alpha**2 * self.variances + sigma**2)
        projection = (flat @ directions.T) * (gain - residual_gain)
        # an unused direction is zero, so that nothing is added along it
        return (residual_gain * flat + projection @ directions).reshape(noisy.shape)
