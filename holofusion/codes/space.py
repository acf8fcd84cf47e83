"""The space in which codes are noised and denoised: standardised codes, and the way back to plain grids."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holofusion.codes.decoder import CodeDecoder
from holofusion.config.codes import Codes
from holofusion.config.params import Volume
from holofusion.utils.files import UserError

POWER = 0.5  # of a number's deviation that it is divided by: numbers that vary more keep some of their weight


class CodeSpace(nn.Module):
    """Statistics of the training objects' codes (numbers, m, m, m), and their decoder.

    mean (numbers, m, m, m): per position. scale (numbers, 1, 1, 1): standardised codes have the variance 1 over all numbers,
    not each.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, volume: Volume, codes: Codes, side: int) -> None:
        """side: m, positions per side of a code."""
        super().__init__()
        self.shape = (codes.numbers, side, side, side)
        self.decoder = CodeDecoder(codes, volume).requires_grad_(False)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("scale", torch.ones(codes.numbers, 1, 1, 1))

    @torch.no_grad()
    def take(self, codes: Tensor, decoder: dict[str, Tensor], names: list[str]) -> Tensor:
        """Set statistics and decoder from the training objects' codes (N, numbers, m, m, m); return these standardised.

        Raises UserError where there are not as many codes as `names`, or of another shape.
        """
        if len(codes) != len(names) or codes.shape[1:] != self.shape:
            raise UserError(
                f"--codes: holds codes of shape {list(codes.shape)}, expected {[len(names), *self.shape]}; encode this data anew"
            )
        self.decoder.load_state_dict(decoder)
        codes = codes.float()
        self.mean.copy_(codes.mean(0))
        rest = codes - self.mean
        scale = rest.square().mean((0, 2, 3, 4)).sqrt().clamp_min(1e-6).reshape(-1, 1, 1, 1) ** POWER
        self.scale.copy_(scale * (rest / scale).square().mean().sqrt())
        return self.standardised(codes)

    def standardised(self, codes: Tensor) -> Tensor:
        """Codes (B, numbers, m, m, m) as denoisers see them."""
        return (codes - self.mean) / self.scale

    def decode(self, standardised: Tensor) -> Tensor:
        """Plain grids (B, 4, n, n, n) of standardised codes (B, numbers, m, m, m)."""
        return self.decoder(standardised * self.scale + self.mean)
