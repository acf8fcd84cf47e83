"""Crop one photograph to the square around the object, make its background white, and adapt its camera."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Square = tuple[float, float, float]  # left, top, side in pixels of the photograph


def foreground(mask: Image.Image, threshold: float) -> np.ndarray | None:
    """Boolean (H,W): mask value above `threshold`, lowered by 0.05 until something is left, as in PyTorch3D.

    None for a mask without any positive value.
    """
    values = np.asarray(mask)
    while threshold > -0.05:
        inside = values > 255 * max(threshold, 0.0)
        if inside.any():
            return inside
        threshold -= 0.05
    return None


def square_around(inside: np.ndarray, context: float) -> Square:
    """The square to cut out: left, top and side in pixels, around the box of `inside`; may reach beyond the image."""
    columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    side = max(right - left, bottom - top) * (1 + context)
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def crop_square(image: Image.Image, inside: np.ndarray, square: Square, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut out `square`, whiten what is not `inside`, resize with antialiasing. Returns uint8 (S,S,3) and (S,S)."""
    left, top, side = square
    x0, y0 = math.floor(left), math.floor(top)
    box = (x0, y0, math.ceil(left + side), math.ceil(top + side))
    mask = Image.fromarray(inside.astype(np.uint8) * 255).crop(box)
    canvas = Image.new("RGB", mask.size, "white")
    canvas.paste(image.crop(box), mask=mask)
    source = (left - x0, top - y0, min(left - x0 + side, mask.width), min(top - y0 + side, mask.height))
    crops = (layer.resize((size, size), Image.Resampling.LANCZOS, box=source) for layer in (canvas, mask))
    rgb, alpha = (np.asarray(layer) for layer in crops)
    return rgb, alpha


def crop_camera(focal: Tensor, principal: Tensor, image_size: tuple[int, int], square: Square) -> tuple[Tensor, Tensor]:
    """Focal length and principal point (2,) in NDC of the square, from those in isotropic NDC of the image.

    A pixel is `u = W/2 - s ndc` with s half the shorter side; in the square, `ndc' = 1 - 2 (u - left) / side`.
    """
    left, top, side = square
    half = min(image_size) / 2
    corner = torch.tensor([image_size[0] - 2 * left, image_size[1] - 2 * top], dtype=torch.float64)
    moved = 1 - (corner - 2 * half * principal.double()) / side
    return (focal.double() * 2 * half / side).float(), moved.float()


def known_area(inside: np.ndarray, square: Square) -> tuple[float, float, float, float]:
    """The part of the plane of which the mask tells something: low and high NDC x, low and high NDC y of the square.

    It ends only at borders of the photograph that the object touches, and may be cut by.
    """
    left, top, side = square
    height, width = inside.shape
    return (
        1 - 2 * (width - left) / side if inside[:, -1].any() else -math.inf,
        1 + 2 * left / side if inside[:, 0].any() else math.inf,
        1 - 2 * (height - top) / side if inside[-1].any() else -math.inf,
        1 + 2 * top / side if inside[0].any() else math.inf,
    )
