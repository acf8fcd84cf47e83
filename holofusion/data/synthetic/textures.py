"""Colours of surfaces as functions of position: noise, stripes, dots, stitches, emblems, fur.

Everything is a function of object coordinates, so a texture stays on its surface whatever the view. Details are no
finer than about 0.03 units: three pixels when an object two units tall fills a 128 px image.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import Tensor

from holofusion.data.synthetic.sdf import column, rotation
from holofusion.utils.random import numpy_generator_for

EMBLEMS = ("heart", "star", "circle", *"ABEHKLMPRSTX23458")
_LATTICE = 32
_SKEW = rotation(0.7, 0.5, 1.1)  # objects are aligned with the axes; the noise lattice must not be


def rgb(text: str) -> Tensor:
    """`"a0b1c2"` as a (3, 1) colour in [0, 1]."""
    return column([int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)])


def jittered(color: Tensor, random: np.random.Generator, hue: float = 0.02, amount: float = 0.08) -> Tensor:
    """The colour with hue (turns) and saturation, value (fractions) moved at random."""
    h, s, v = colorsys.rgb_to_hsv(*color.flatten().tolist())
    h += random.uniform(-hue, hue)
    s *= 1 + random.uniform(-2 * amount, 2 * amount)
    v *= 1 + random.uniform(-amount, amount)
    return column(colorsys.hsv_to_rgb(h % 1, min(max(s, 0), 1), min(max(v, 0), 1)))


def mix(first: Tensor, second: Tensor, weight: Tensor | float) -> Tensor:
    """`first` where weight is 0, `second` where it is 1; broadcasts (3, 1) and (3, n) with (n,)."""
    return first + (second - first) * weight


def readable(ink: Tensor, ground: Tensor) -> Tensor:
    """`ink`, or white or black where it would be hard to read on `ground`."""
    weights = column([0.3, 0.59, 0.11])
    light, behind = (float((weights * color).sum()) for color in (ink, ground))
    if abs(light - behind) > 0.28:
        return ink
    return rgb("f7f4ec") if behind < 0.55 else rgb("1f2126")


def below(value: Tensor, edge: Tensor | float, width: float = 0.012) -> Tensor:
    """1 where value < edge, 0 where it is larger, smooth over `width`."""
    return ((edge - value) / width + 0.5).clamp(0, 1)


@cache
def _noise_volume() -> Tensor:
    values = numpy_generator_for("synthetic", "noise").uniform(-1, 1, (4,) + (_LATTICE,) * 3)
    return torch.from_numpy(np.pad(values, ((0, 0),) + ((0, 1),) * 3, mode="wrap").astype(np.float32))[None]


def noise(points: Tensor, cell: float, shift: float = 0.0) -> Tensor:
    """Smooth random numbers in [-1, 1], four independent ones (4, n); neighbours `cell` apart are unrelated."""
    place = torch.remainder(_SKEW @ points / cell + shift, _LATTICE)
    whole = place.floor()
    part = place - whole
    place = (whole + part * part * (3 - 2 * part)) * (2 / _LATTICE) - 1  # eased: no creases at the lattice
    place = place.T.reshape(1, 1, 1, -1, 3)
    return F.grid_sample(_noise_volume(), place, padding_mode="border", align_corners=True)[0, :, 0, 0]


def speckled(color: Tensor, points: Tensor, amount: float, cell: float = 0.035, shift: float = 0.0) -> Tensor:
    """The colour (3, 1) or (3, n) with fine light and dark speckle over broad, fainter patches."""
    fine, broad = noise(points, cell, shift)[0], noise(points, cell * 7, shift + 3.7)[1]
    return color * (1 + amount * fine + 0.45 * amount * broad)


def dashes(across: Tensor, along: Tensor, half_width: float, period: float, fill: float = 0.6) -> Tensor:
    """Weight of a dashed line: `across` is the distance from it, `along` the distance on it."""
    dash = (torch.remainder(along / period, 1.0) - 0.5).abs()
    return below(across.abs(), half_width) * below(dash, fill / 2, 0.012 / period)


def pattern(kind: str, u: Tensor, v: Tensor, colors: Sequence[Tensor], period: float) -> Tensor:
    """Cloth at (u, v) in object units: `plain`, `stripes` (along v), `pinstripes`, `dots`, `plaid` or `zigzag`."""
    ground, second, third = colors
    ground = ground.expand(3, len(u))
    if kind == "plain":
        return ground
    wave = (torch.remainder(v / period, 1.0) - 0.5).abs() * period
    if kind == "stripes":
        return mix(ground, second, below(wave, period / 4))
    if kind == "pinstripes":
        cross = (torch.remainder(u / period * 1.6, 1.0) - 0.5).abs() * period / 1.6
        return mix(ground, second, below(cross, 0.016))
    if kind == "dots":
        row = torch.floor(v / period)
        du = (torch.remainder(u / period + 0.5 * torch.remainder(row, 2), 1.0) - 0.5) * period
        dv = (torch.remainder(v / period, 1.0) - 0.5) * period
        return mix(ground, second, below((du * du + dv * dv).sqrt(), period * 0.3))
    if kind == "plaid":
        cross = (torch.remainder(u / period, 1.0) - 0.5).abs() * period
        cloth = mix(mix(ground, second, 0.55 * below(wave, period / 4)), second, 0.45 * below(cross, period / 4))
        fine = torch.maximum(below((wave - period / 2.6).abs(), 0.010), below((cross - period / 2.6).abs(), 0.010))
        return mix(cloth, third, 0.8 * fine)
    if kind == "zigzag":
        bend = (torch.remainder(u / period, 1.0) - 0.5).abs() * period
        wave = (torch.remainder((v + bend) / period, 1.0) - 0.5).abs() * period
        return mix(ground, second, below(wave, period / 4))
    raise ValueError(f"pattern {kind!r}")


@cache
def _emblem_image(name: str) -> Tensor:
    image = Image.new("L", (96 if len(name) == 1 or name in EMBLEMS else 62 * len(name), 96), 0)
    draw = ImageDraw.Draw(image)
    if name == "circle":
        draw.ellipse((8, 8, 87, 87), fill=255)
        draw.ellipse((26, 26, 69, 69), fill=0)
    elif name == "star":
        turn = [(np.pi * (k / 5 - 0.5), 46 if k % 2 == 0 else 19) for k in range(10)]
        draw.polygon([(48 + r * np.cos(a), 50 + r * np.sin(a)) for a, r in turn], fill=255)
    elif name == "heart":
        t = np.linspace(0, 2 * np.pi, 100)
        x, y = 16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
        draw.polygon(list(zip(48 + 2.7 * x, 46 - 2.7 * y, strict=True)), fill=255)
    else:
        font = ImageFont.load_default(100)
        draw.text((image.width / 2, 48), name, fill=255, font=font, anchor="mm", stroke_width=3)
    soft = image.filter(ImageFilter.GaussianBlur(1.5))
    return torch.from_numpy(np.asarray(soft, dtype=np.float32) / 255)[None, None]


def emblem(name: str, u: Tensor, v: Tensor) -> Tensor:
    """Weight (n,) of one of EMBLEMS, or of any short text, drawn on u, v in [-1, 1], v upwards; 0 outside."""
    place = torch.stack((u, -v), 1).reshape(1, 1, -1, 2)
    return F.grid_sample(_emblem_image(name), place, align_corners=False)[0, 0, 0]


def cloth_weave(color: Tensor, points: Tensor, shift: float) -> Tensor:
    """Faint weave and folds over a cloth colour (3, n)."""
    return color * (1 + 0.05 * noise(points, 0.03, shift)[0] + 0.07 * noise(points, 0.16, shift)[2])


def scatter(
    u: Tensor, v: Tensor, cell: float, share: float, seed: int, size: float, stick: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Distance (n,) in (u, v) to the middle of one dot (or stick of half-length `stick`) per square cell.

    Dots of radius `size` stay inside their cell. A `share` of the cells holds one; elsewhere the distance is 1.
    Second result: a random number in [0, 1) per cell.
    """
    i, j = torch.floor(u / cell), torch.floor(v / cell)
    key = (i.long() * 73856093) ^ (j.long() * 19349663) ^ (seed * 83492791)
    draws = []
    for _ in range(4):
        key = (key * 1103515245 + 12345) & 0x7FFFFFFF
        key = key ^ (key >> 13)
        draws.append((key & 0xFFFF).float() / 65536)
    present, angle, du, dv = draws
    spare = max(0.5 - (size + stick) / cell, 0.0)
    x = u - (i + 0.5 + spare * (2 * du - 1)) * cell
    y = v - (j + 0.5 + spare * (2 * dv - 1)) * cell
    if stick:
        c, s = torch.cos(angle * torch.pi), torch.sin(angle * torch.pi)
        along = (x * c + y * s).clamp(-stick, stick)
        x, y = x - along * c, y - along * s
    piece = torch.remainder(present * 7.31 + angle * 3.17, 1.0)
    return torch.where(present < share, (x * x + y * y).sqrt(), 1.0), piece
