"""Codes of balls, in place of those of prepared objects."""

from __future__ import annotations

import torch

from holofusion.codes.decoder import CodeDecoder
from holofusion.config.params import Params
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import CodesResult, TrainingInputs


def balls_as_codes(data: PreparedCategory, params: Params) -> TrainingInputs:
    """Data, and the codes of balls of different sizes and colours in place of its objects."""
    axis = torch.linspace(-1, 1, 16)
    radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    count = len(data.train) + len(data.held_out)
    grids = torch.stack(
        [
            torch.cat([(16 * (0.4 + 0.05 * k - radius)).clamp(-8, 8)[None], torch.full((3, 16, 16, 16), k - 3.0)])
            for k in range(count)
        ]
    )
    decoder = CodeDecoder(params.codes, params.volume)
    decoder.code.fit(grids)
    codes = decoder.code.encode(grids)
    known = len(data.train)
    return TrainingInputs(data, None, CodesResult(codes[:known], codes[known:], decoder.state_dict()))
