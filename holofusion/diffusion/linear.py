"""The best linear denoiser of a data set, in closed form: what a network need not learn by gradient descent.

For Gaussian data of covariance S the expected clean signal is signal * S (signal^2 S + noise^2)^-1 x_t (Wiener). S is
taken as in probabilistic principal components (Tipping and Bishop 1999): some directions with a variance each, one
variance for all others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearDenoiser(nn.Module):
    """Clean signals (B, *shape) from noisy ones, for zero-mean signals like those it was fitted to."""

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
        self.rest.copy_((flat.square().sum() / count - variances.sum()).clamp_min(0) / (size - rank))

    def forward(self, noisy: Tensor, signal: Tensor, spread: Tensor) -> Tensor:
        """noisy (B, *shape) = signal * clean + spread * noise -> estimate of clean; signal, spread broadcast over noisy."""
        signal, spread = signal.reshape(-1, 1), spread.reshape(-1, 1)
        flat, directions = noisy.flatten(1), self.directions.flatten(1)
        rest = signal * self.rest / (signal**2 * self.rest + spread**2)
        gain = signal * self.variances / (signal**2 * self.variances + spread**2)
        along = (flat @ directions.T) * (gain - rest)
        # an unused direction is zero, so that nothing is added along it
        return (rest * flat + along @ directions).reshape(noisy.shape)
