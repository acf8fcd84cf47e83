"""Codes in few bytes: 8 bits a number, compressed. For models that ship."""

from __future__ import annotations

import lzma

import torch
from torch import Tensor

STEPS = 127  # on either side of zero
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


def packed(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bytes (uint8), greatest value of each number (C,) float32, and the shape, of codes (N, C, m, m, m).

    A number is off by at most 1/254 of its greatest value.
    """
    greatest = codes.float().abs().amax((0, 2, 3, 4)).clamp_min(1e-12)
    whole = (codes.float() / greatest[:, None, None, None] * STEPS).round().to(torch.int8)
    content = lzma.compress(whole.cpu().contiguous().numpy().tobytes(), format=lzma.FORMAT_RAW, filters=FILTERS)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8), greatest.cpu(), torch.tensor(codes.shape)


def unpacked(content: Tensor, greatest: Tensor, shape: Tensor) -> Tensor:
    """The codes, float16, of what `packed` gave. Raises ValueError for bytes that are no such codes."""
    try:
        whole = lzma.decompress(content.cpu().numpy().tobytes(), format=lzma.FORMAT_RAW, filters=FILTERS)
    except lzma.LZMAError as error:
        raise ValueError(f"packed codes are damaged ({error})") from None
    codes = torch.frombuffer(bytearray(whole), dtype=torch.int8).reshape(shape.tolist())
    return (codes.float() / STEPS * greatest.cpu()[:, None, None, None]).half()
