"""The decoder of codes: linear to begin with, and what neighbours add."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.codes.blocks import BlockCode, from_features, unfold_blocks
from holofusion.config.codes import Codes
from holofusion.config.params import Volume
from holofusion.utils.precision import autocast


class CodeDecoder(nn.Module):
    """Plain grids from codes: the block components, corrected by two convolutions. Untrained it is exactly linear."""

    def __init__(self, codes: Codes, volume: Volume) -> None:
        super().__init__()
        self.precision, width = volume.precision, codes.decoder_width
        self.code = BlockCode(codes)
        self.first = nn.Conv3d(codes.numbers, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 3, padding=1)
        self.last = nn.Conv3d(width, 4 * codes.block**3, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # missing in torch's stubs

    def forward(self, codes: Tensor) -> Tensor:
        """Plain grids (B, 4, n, n, n) of codes (B, numbers, m, m, m), n = m * block."""
        with autocast(codes.device, self.precision):
            hidden = F.silu(self.first(codes.contiguous(memory_format=torch.channels_last_3d)))
            hidden = hidden + F.silu(self.second(hidden))
            more = self.last(hidden)
        return from_features(unfold_blocks(self.code.blocks(codes) + more.float(), self.code.block))
