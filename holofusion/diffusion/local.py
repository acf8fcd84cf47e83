"""The local estimate, in closed form: what a denoiser that sees a neighbourhood of each position converges to.

At each position the training codes' average, weighted by how well each explains the noisy neighbourhood (Kamb and Ganguli,
"An analytic theory of creativity in convolutional diffusion models", ICML 2025). With a bandwidth each training code is the
middle of a Gaussian, so that codes that are near none of them can be explained too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PART = 256  # positions whose squares fit a core's cache


@dataclass(frozen=True)
class Neighbourhood:
    """How the local estimate is made at one noise level.

    width: positions of a neighbourhood's side, odd; twice the code's side or more: the whole code. bandwidth: deviation of
    the Gaussian around a training code, share of each number's own. temperature: divides the evidence, since what
    neighbouring positions say is not independent.
    """

    width: int
    bandwidth: float = 0.0
    temperature: float = 1.0


class LocalEstimate:
    """Of training codes (N, C, m, m, m) whose numbers have the variances (C,)."""

    def __init__(self, codes: Tensor, variance: Tensor) -> None:
        self.size, self.variance = codes.shape[-1], variance
        self.codes = codes.flatten(2).permute(2, 0, 1).contiguous()  # (P, N, C)

    def weights(
        self, noisy: Tensor, alpha: float, sigma: float, near: Neighbourhood, left_out: Tensor | None = None
    ) -> Tensor:
        """Weight (P, B, N) of every training code at each of P positions, for noisy = alpha clean + sigma noise (B, C, ...).

        left_out (B,): number of the training code that may not take part, one for each noisy code; -1 for none.
        """
        precision = 1 / (alpha**2 * near.bandwidth**2 * self.variance + sigma**2)
        flat = noisy.flatten(2).permute(2, 0, 1) * precision  # (P, B, C)
        parts = [part.square() @ precision for part in self.codes.split(PART)]
        power = torch.cat(parts)[:, None]  # (P, 1, N)
        evidence = alpha * (flat @ self.codes.transpose(1, 2)) - 0.5 * alpha**2 * power
        summed = self._sums(evidence.permute(1, 2, 0).unflatten(2, (self.size,) * 3), near.width) / near.temperature
        if left_out is not None:
            rows = (left_out >= 0).nonzero().squeeze(1)
            summed[rows, left_out[rows]] = -torch.inf
        return summed.flatten(2).softmax(1).permute(2, 0, 1)

    def __call__(
        self, noisy: Tensor, alpha: float, sigma: float, near: Neighbourhood, left_out: Tensor | None = None
    ) -> Tensor:
        """Estimate of the clean codes, of the shape of `noisy`; arguments as for `weights`."""
        weights = self.weights(noisy, alpha, sigma, near, left_out)
        return (weights @ self.codes).permute(1, 2, 0).reshape(noisy.shape)

    def _sums(self, volume: Tensor, width: int) -> Tensor:
        """Sums of volume (B, N, m, m, m) over neighbourhoods: a product with a band matrix along each axis."""
        if width >= 2 * self.size:
            return volume.sum((2, 3, 4), keepdim=True).expand(volume.shape).clone()
        place = torch.arange(self.size, device=volume.device)
        band = ((place[:, None] - place).abs() <= width // 2).to(volume)
        volume = band @ (volume @ band)
        return (band @ volume.flatten(-2)).unflatten(-1, (self.size, self.size))
