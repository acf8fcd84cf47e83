"""Clothes of the teddy bears: shirts, sweaters, dresses and vests with prints, scarves, bow ties, knitted caps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from holofusion.data.synthetic.sdf import (
    Limb,
    Part,
    Solid,
    box,
    column,
    ellipsoid,
    grown,
    length,
    limb,
    rotation,
    torus,
)
from holofusion.data.synthetic.textures import (
    EMBLEMS,
    below,
    cloth_weave,
    dashes,
    emblem,
    jittered,
    mix,
    pattern,
    readable,
    rgb,
)

CLOTHS = tuple("c0282d 1f4e9c 2d7a46 e8b720 7b3fa0 e86a1c 1b8f9e d94a8c f2efe8 26282e 7fb8e0 8c2f3f".split())
KINDS = ("shirt", "shirt", "shirt", "sweater", "dress", "vest", "scarf", "bow", "none", "none")


def clothes(
    random: np.random.Generator, body: Solid, arms: list[Limb], belly: np.ndarray, chest_y: float, neck_y: float
) -> list[Part]:
    """What one bear wears (possibly nothing), fitted to its body.

    `belly`: half-axes of the lower body; `chest_y`, `neck_y`: heights of the shoulders' middle and of the collar.
    """
    kind = str(random.choice(KINDS))
    order = random.permutation(len(CLOTHS))
    colors = [jittered(rgb(CLOTHS[i]), random) for i in order[:3]]
    colors[2] = readable(colors[2], colors[0])
    shift = random.uniform(0, 32)
    parts: list[Part] = []
    if kind in ("shirt", "sweater", "dress", "vest"):
        parts += _shirt(random, kind, body, arms, belly, chest_y, neck_y, colors, shift)
    if kind == "scarf":
        parts += _scarf(random, belly, neck_y, colors, shift)
    if kind == "bow":
        parts += _bow(neck_y, colors[1], colors[2], shift, band=True)
    elif kind in ("shirt", "vest") and random.random() < 0.3:
        parts += _bow(neck_y, colors[2], colors[1], shift, band=False)
    return parts


def cap(random: np.random.Generator, skull: Solid, tilt: Tensor, middle: Tensor, size: float) -> list[Part]:
    """A knitted cap with a pompom on the head `skull` (centre `middle`, axes `tilt`, half-height about `size`)."""
    order = random.permutation(len(CLOTHS))
    colors = [jittered(rgb(CLOTHS[i]), random) for i in order[:3]]
    weave = str(random.choice(["stripes", "plain", "zigzag", "dots"]))
    shift, brim = random.uniform(0, 32), random.uniform(0.42, 0.55)
    slope = random.uniform(-0.15, 0.3)

    def height(points: Tensor) -> Tensor:
        _, v, w = tilt.T @ (points - middle) / size
        return v - slope * w

    def knit(points: Tensor, normals: Tensor) -> Tensor:
        u, _, w = tilt.T @ (points - middle)
        v = height(points)
        color = pattern(weave, torch.atan2(u, w) * size * 0.7, v * size, colors, 0.11)
        color = mix(color, colors[1], below(v, brim + 0.2, 0.03))
        rib = torch.remainder(torch.atan2(u, w) * 5, 1.0) - 0.5
        return cloth_weave(color * (1 - 0.22 * below(rib.abs(), 0.15, 0.1) * below(v, brim + 0.2, 0.03)), points, shift)

    top = (middle + tilt @ column([0.0, size * 1.02, 0.0])).flatten().tolist()
    return [
        Part(grown(skull, 0.045, lambda p: (brim - height(p)) * size * 0.9), knit, 0.006, 0.3),
        Part(ellipsoid(top, (size * 0.22,) * 3), lambda p, n: cloth_weave(colors[1].expand_as(p), p, shift), 0.02, 0.6),
    ]


def _scarf(
    random: np.random.Generator, belly: np.ndarray, neck_y: float, colors: list[Tensor], shift: float
) -> list[Part]:
    weave = str(random.choice(["stripes", "stripes", "dots", "plaid"]))

    def knit(points: Tensor, normals: Tensor) -> Tensor:
        x, y, z = points
        turn = torch.where(y < neck_y - 0.08, y, torch.atan2(x, z) * 0.3)
        return cloth_weave(pattern(weave, y, turn, colors, 0.12), points, shift)

    parts = [Part(torus((0, neck_y + 0.01, 0.02), 0.235, 0.075, rotation(x=0.12), 0.9), knit, 0.006, 0.25)]
    for dx, drop in ((0.06, 0.42), (0.17, 0.32)):
        turn = rotation(x=-0.28, z=dx * 0.8)
        tail = box((dx, neck_y - drop / 2, belly[2] * 0.86 + 0.05), (0.065, drop / 2, 0.035), 0.03, turn)
        parts.append(Part(tail, knit, 0.006, 0.25))
    return parts


def _bow(neck_y: float, ribbon: Tensor, dots: Tensor, shift: float, band: bool) -> list[Part]:
    front = np.array([0, neck_y - 0.02, 0.33])

    def satin(points: Tensor, normals: Tensor) -> Tensor:
        return cloth_weave(pattern("dots", points[0], points[1], (ribbon, dots, dots), 0.075), points, shift)

    def plain(points: Tensor, normals: Tensor) -> Tensor:
        return (ribbon * 0.85).expand_as(points)

    wings = [limb(front, front + [side * 0.15, 0.01, -0.01], 0.04, 0.095) for side in (-1, 1)]
    parts = [Part(wing, satin, 0.0, 0.15) for wing in wings]
    parts.append(Part(ellipsoid(front, (0.05, 0.055, 0.06)), plain))
    if band:
        parts.append(Part(torus((0, neck_y, 0.02), 0.25, 0.04, rotation(x=0.12), 1.2), plain))
    return parts


def _shirt(
    random: np.random.Generator,
    kind: str,
    body: Solid,
    arms: list[Limb],
    belly: np.ndarray,
    chest_y: float,
    neck_y: float,
    colors: list[Tensor],
    shift: float,
) -> list[Part]:
    """The body's cover and, but for a vest, a sleeve on each arm."""
    ground, second, third = colors
    weave = random.choice(["plain", "stripes", "stripes", "dots", "plaid", "zigzag", "pinstripes"])
    marked = kind != "vest" and (weave == "plain" or random.random() < 0.45)
    mark = str(random.choice(EMBLEMS)) if marked else ""
    rear = str(random.choice(EMBLEMS[3:])) if mark and random.random() < 0.6 else ""
    period = random.uniform(0.11, 0.18)
    hem = -belly[1] * (random.uniform(0.15, 0.45) if kind != "dress" else 0.5)
    top = neck_y - 0.03
    size, mark_y = random.uniform(0.17, 0.22), chest_y * random.uniform(0.1, 0.45) + 0.02
    disc = mark and weave != "plain"
    trim = third if random.random() < 0.7 else second
    flare = random.uniform(0.35, 0.6) if kind == "dress" else 0.0
    waist = chest_y * 0.4

    def cloth(points: Tensor, normals: Tensor) -> Tensor:
        x, y, z = points
        u = torch.atan2(x, z) * belly[0]
        color = pattern(weave, u, y, colors, period)
        for name, way in ((mark, 1.0), (rear, -1.0)):
            if name:
                facing = below(-way * normals[2], -0.05, 0.1)
                if disc:
                    ring = length(torch.stack((x, y - mark_y)))
                    color = mix(color, ground, below(ring, size * 1.25) * facing)
                    color = mix(color, third, below((ring - size * 1.25).abs(), 0.012) * facing)
                color = mix(color, third, emblem(name, way * x / size, (y - mark_y) / size) * facing)
        edge = torch.maximum(below(y, hem + 0.05), below(-y, -top + 0.045))
        color = mix(color, trim, edge)
        if kind == "vest":
            edge = below(x.abs(), 0.10) * (z > 0)
            color = mix(color, trim, below((x.abs() - 0.10).abs(), 0.018) * (z > 0))
        color = mix(color, mix(ground, rgb("ffffff"), 0.5), 0.8 * dashes(y - hem - 0.065, u, 0.009, 0.06))
        return cloth_weave(color, points, shift)

    def keep(points: Tensor) -> Tensor:
        x, y, z = points
        cut = torch.maximum(hem - y, y - top)
        if kind == "vest":
            cut = torch.maximum(cut, torch.where(z > 0, 0.09 - x.abs(), -1.0))
        return cut

    def thick(points: Tensor) -> Tensor:
        x, y, z = points
        ripple = 0.02 * torch.cos(9 * torch.atan2(x, z))
        down = (waist - y).clamp(min=0)
        return 0.028 + flare * down + ripple * (down / 0.3).clamp(max=1)

    if kind == "dress":
        wide = grown(body, thick, keep, 0.35)
        solid = Solid(lambda p: wide.distance(p) * 0.8, wide.center, wide.radius)
    else:
        solid = grown(body, 0.05 if kind == "sweater" else 0.03, keep)
    rough = 0.008 if kind == "sweater" else 0.0
    parts = [Part(solid, cloth, rough, 0.35 if rough else 0.15)]
    cuff = {"vest": 0.0, "dress": 0.35, "sweater": 0.85}.get(kind, random.uniform(0.35, 0.75))
    for arm in arms if cuff else ():

        def sleeve_paint(points: Tensor, normals: Tensor, arm: Limb = arm) -> Tensor:
            along = arm.along(points)
            side = (points - arm.start)[2]
            color = pattern(weave, side, along * arm.length, colors, period)
            return cloth_weave(mix(color, trim, below(-along, -cuff + 0.09, 0.03)), points, shift)

        def keep_sleeve(points: Tensor, arm: Limb = arm) -> Tensor:
            return (arm.along(points) - cuff) * arm.length * 0.9

        sleeve = grown(arm.solid, 0.045 if kind == "sweater" else 0.026, keep_sleeve)
        parts.append(Part(sleeve, sleeve_paint, rough, 0.35 if rough else 0.15))
    return parts
