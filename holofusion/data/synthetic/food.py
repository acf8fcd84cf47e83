"""Procedural apples and donuts, about 1.7 units wide, +y up."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from holofusion.data.synthetic.sdf import (
    Paint,
    Part,
    Solid,
    carved,
    column,
    ellipsoid,
    length,
    limb,
    rotation,
    torus,
    union,
)
from holofusion.data.synthetic.textures import below, emblem, jittered, mix, noise, rgb, scatter, speckled

# ground colour, blush colour, how much of the skin the blush covers
APPLES = (
    ("d9b64a", "b3202a", 0.75),
    ("c9c04e", "a3182a", 0.9),
    ("e0c65a", "d2472c", 0.55),
    ("a9c23f", "c8503a", 0.25),
    ("8fb83a", "a8c64a", 0.3),
    ("e3cf62", "e8b04a", 0.4),
    ("b3872f", "6f1524", 0.95),
    ("d8c9a0", "d9667a", 0.7),
)
ICINGS = tuple("f29ab8 5b3320 f7efe2 3a2015 8fd0e8 b990d8 f2d04a a6d890 e8743c d8405c f7efe2 e8b48a".split())
SPRINKLES = tuple("e03a3a f2c22e 3a8fd8 4cb85a f27ab0 ffffff f08a2e 8a55c8".split())
# kind of decoration: side of a cell, radius and half-length of the piece in it
PIECES = {"sprinkles": (0.14, 0.024, 0.042), "balls": (0.115, 0.034, 0.0), "specks": (0.075, 0.014, 0.0)}


def apple(random: np.random.Generator) -> list[Part]:
    """Parts of one random apple: skin, stem, sometimes a leaf, a sticker or a bite."""
    ring, tube = random.uniform(0.27, 0.35), random.uniform(0.48, 0.54)
    tall, taper = random.uniform(1.12, 1.5), random.uniform(-0.05, 0.22)
    lobes, lean = random.uniform(0.0, 0.05), random.uniform(-0.12, 0.12, 2)
    phase = random.uniform(0, 2 * math.pi)

    def skin(points: Tensor) -> Tensor:
        x, y, z = points
        y = y / tall
        x, z = x - lean[0] * y, z - lean[1] * y
        low = (0.3 - y).clamp(0, 1)
        wide = 1 + taper * y + lobes * low * torch.cos(5 * torch.atan2(z, x) + phase)
        rho = ((x * x + z * z) / wide.square() + 0.004).sqrt()
        return ((rho - ring).square() + y * y).sqrt().sub(tube) * min(tall, 1.0) * 0.85

    solid = Solid(skin, column([0, 0, 0]), (ring + tube) * max(1.0, tall) * 1.25)
    paint = _skin(random, tall, tube)
    if random.random() < 0.1:
        solid, paint = _bitten(solid, paint, random, (ring + tube) * 0.98, rgb("f3e6b8"), 0.06)
    parts = [Part(solid, paint, 0.0, 0.04)]
    top = math.sqrt(max(tube**2 - ring**2, 0.0)) * tall
    bend, reach = random.uniform(-0.16, 0.16, 2), random.uniform(0.30, 0.5)
    knee, tip = (bend[0] * 0.4, top + reach * 0.5, bend[1] * 0.4), (bend[0], top + reach, bend[1])
    wood = jittered(rgb(random.choice(["5a3d22", "6b5a2e", "44301f"])), random)
    stem = union(0.03, limb((0, top - 0.1, 0), knee, 0.03, 0.028), limb(knee, tip, 0.028, 0.045))
    parts.append(Part(stem, lambda p, n: speckled(wood, p, 0.25, 0.03), 0.0, 0.2))
    if random.random() < 0.55:
        parts.append(_leaf(random, knee))
    return parts


def _skin(random: np.random.Generator, tall: float, tube: float) -> Paint:
    ground_text, blush_text, cover = APPLES[random.integers(len(APPLES))]
    ground, blush = jittered(rgb(ground_text), random), jittered(rgb(blush_text), random)
    sun = column([math.cos(a := random.uniform(0, 2 * math.pi)), random.uniform(0, 0.6), math.sin(a)])
    streaks, shift = random.uniform(0.25, 0.9), random.uniform(0, 32)
    pores = random.uniform(0.25, 0.6)
    sticker = str(random.choice(["A1", "42", "BIO", "GALA", "FUJI", "8"])) if random.random() < 0.35 else ""
    where = random.uniform(-0.9, 0.9)
    label = jittered(rgb(random.choice(["f4f1e6", "2c6fb5", "e9c62c", "2f8f4e", "d8412f"])), random)
    ink = rgb("1d2433") if float(label.mean()) > 0.55 else rgb("ffffff")

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        x, y, z = points
        angle = torch.atan2(x, z)
        lines = torch.stack((angle.sin() * 0.8, y * 0.12, angle.cos() * 0.8))
        streak = 0.7 * noise(lines, 0.055, shift)[0] + 0.5 * noise(lines, 0.11, shift)[1]
        patch = noise(points, 0.35, shift)[2]
        amount = (sun * normals).sum(0) * 0.45 + patch * 0.3 + streak * streaks + (cover - 0.5) * 2.2
        color = mix(ground, blush, (amount + 0.5).clamp(0, 1))
        color = color * (1 + 0.05 * noise(points, 0.05, shift)[0])
        rho = (x * x + z * z).sqrt()
        hollow = below(rho, 0.22 + 0.07 * noise(lines, 0.15, shift)[3], 0.16) * (y.abs() > 0.15)
        color = mix(color, rgb("8d7a35"), 0.75 * hollow * (y > 0))
        color = mix(color, rgb("4d3b22"), below(rho, 0.10, 0.06) * (y < -0.15))
        near, _ = scatter(angle * 0.75, y, 0.085, 0.5, int(shift * 100), 0.012)
        dots = below(near, 0.012) * below(-rho, -0.3, 0.1)
        color = mix(color, mix(color, rgb("f2e6b0"), 0.8), pores * dots)
        if sticker:
            u, v = (angle - where) * 0.8 / 0.17, (y - 0.08) / 0.13
            rim = length(torch.stack((u, v)))
            color = mix(color, label, below(rim, 1.0, 0.1))
            color = mix(color, ink, below((rim - 0.9).abs(), 0.03, 0.08) * 0.7)
            color = mix(color, ink, emblem(sticker, u / 0.72, v / 0.5))
        return color

    return paint


def _leaf(random: np.random.Generator, root: tuple[float, float, float]) -> Part:
    long, wide = random.uniform(0.24, 0.34), random.uniform(0.11, 0.16)
    bent = rotation(z=random.uniform(-0.1, 0.5), x=random.uniform(-0.4, 0.4))
    turn = rotation(y=random.uniform(0, 2 * math.pi)) @ bent
    middle = column(root) + turn @ column([long, 0.02, 0.0])
    green = jittered(rgb(random.choice(["4f8a2f", "6a9a35", "3d6f2a"])), random)

    def local(points: Tensor) -> Tensor:
        u, v, w = turn.T @ (points - middle)
        return torch.stack((u, v + 0.9 * u * u - 0.8 * w.abs() * 0.3, w))

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        u, _, w = local(points)
        side = torch.remainder((u - 0.9 * w.abs()) / 0.085, 1.0) - 0.5
        vein = torch.maximum(below(w.abs(), 0.013), 0.6 * below(side.abs(), 0.12, 0.15))
        return mix(speckled(green, points, 0.1), mix(green, rgb("e8eeb0"), 0.6), vein)

    blade = ellipsoid((0, 0, 0), (long, 0.035, wide))
    return Part(Solid(lambda p: blade.distance(local(p)) * 0.75, middle, long * 1.2), paint)


def _bitten(
    solid: Solid, paint: Paint, random: np.random.Generator, reach: float, flesh: Tensor | None, pores: float
) -> tuple[Solid, Paint]:
    """Cut a scalloped bite out of the rim, at `reach` from the axis; the cut shows `flesh`, or goes on as outside."""
    angle, size = random.uniform(-1.2, 1.2), random.uniform(0.24, 0.34)
    teeth = []
    for k in range(-1, 2):
        a = angle + k * size * 0.75 / reach
        at = (math.sin(a) * reach, 0.08, math.cos(a) * reach)
        teeth.append(ellipsoid(at, (size * 0.72, size * 1.5, size * 0.85)))
    tool = union(0.02, *teeth)

    if flesh is None:
        return carved(solid, tool), paint

    def cut(points: Tensor, normals: Tensor) -> Tensor:
        crumb = flesh * (1 - pores * (1 + noise(points, 0.05, 5.0)[0]) - 0.5 * pores * noise(points, 0.11, 7.0)[1])
        inner = below(tool.distance(points), 0.008, 0.01)
        return mix(paint(points, normals), crumb, inner)

    return carved(solid, tool), cut


def donut(random: np.random.Generator) -> list[Part]:
    """Parts of one random donut: dough, icing with a wavy edge, sprinkles or drizzle, sometimes a bite."""
    ring, tube = random.uniform(0.52, 0.64), random.uniform(0.25, 0.34)
    squash = random.uniform(0.78, 1.0)
    tilt = rotation(x=random.uniform(0.0, 0.35), z=random.uniform(-0.1, 0.1))
    base = torus((0, 0, 0), ring, tube, tilt, squash)
    shift = random.uniform(0, 32)
    dough = jittered(rgb(random.choice(["c98a45", "b87333", "d9a055", "8a5530", "5a3522"])), random)
    pale = mix(dough, rgb("f3d9a0"), 0.6)

    def crust(points: Tensor, normals: Tensor) -> Tensor:
        local = tilt.T @ points
        band = below((local[1] / tube + 0.08 + 0.06 * noise(points, 0.15, shift)[0]).abs(), 0.16, 0.2)
        color = mix(mix(dough, pale, 0.75 * band), dough * 0.8, 0.5 * below(local[1], -tube * 0.5, 0.2))
        return speckled(color, points, 0.10, 0.035, shift)

    kind = str(random.choice(["sprinkles", "sprinkles", "balls", "drizzle", "drizzle", "specks", "crumbs", "sugar"]))
    if kind == "sugar":
        solid, paint = base, _sugared(crust, shift, bool(random.random() < 0.5))
        layers = [(solid, paint, 0.012, 0.3)]
    else:
        layers = [(base, crust, 0.004, 0.15), (*_icing(random, kind, base, ring, tube, tilt, shift), 0.0, 0.05)]
    if random.random() < 0.2:
        state = random.bit_generator.state
        for i, (solid, paint, fuzz, bump) in enumerate(layers):
            random.bit_generator.state = state  # the same bite through dough and icing
            crumb = None if i else rgb("f0d79a")
            layers[i] = (*_bitten(solid, paint, random, ring + tube * 0.9, crumb, 0.10), fuzz, bump)
    return [Part(*layer) for layer in layers]


def _sugared(crust: Paint, shift: float, cinnamon: bool) -> Paint:
    powder = rgb("d9a878") if cinnamon else rgb("f8f5f0")

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        grain = 0.75 + 0.6 * noise(points, 0.032, shift)[0] + 0.5 * noise(points, 0.12, shift)[1]
        return mix(crust(points, normals), powder, grain.clamp(0, 1))

    return paint


def _ripples(u: Tensor, v: Tensor, spacing: float) -> Tensor:
    """Distance to the nearest of wavy lines, `spacing` apart in u."""
    return (torch.remainder((u + 0.05 * torch.sin(v * 7)) / spacing, 1.0) - 0.5).abs() * spacing


def _icing(
    random: np.random.Generator, kind: str, base: Solid, ring: float, tube: float, tilt: Tensor, shift: float
) -> tuple[Solid, Paint]:
    order = random.permutation(len(ICINGS))
    icing, line = jittered(rgb(ICINGS[order[0]]), random), jittered(rgb(ICINGS[order[1]]), random)
    if float((icing - line).abs().max()) < 0.35:
        line = rgb("ffffff") if float(icing.mean()) < 0.5 else rgb("4a2818")
    waves = [(int(k), random.uniform(0.02, 0.07), random.uniform(0, 6.3)) for k in random.integers(3, 13, 4)]
    level, seed = random.uniform(-0.25, 0.25) * tube, int(random.integers(1 << 20))
    dense, spacing, way = random.uniform(0.55, 0.95), random.uniform(0.15, 0.2), random.uniform(0, math.pi)
    few = [rgb(SPRINKLES[i]) for i in random.permutation(len(SPRINKLES))[: random.integers(1, 7)]]
    crossed, relief = random.random() < 0.4, 0.0 if kind == "specks" else 0.022

    def around(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, y, z = tilt.T @ points
        out = (x * x + z * z).sqrt() - ring
        theta = torch.atan2(x, z)
        return theta, torch.atan2(y, out), y

    def edge(points: Tensor) -> Tensor:
        """Negative on the iced side of the wavy edge."""
        theta, _, y = around(points)
        return level + sum(a * torch.cos(k * theta + p) for k, a, p in waves) - y

    def decoration(points: Tensor) -> tuple[Tensor, Tensor]:
        """Height share in [0, 1] of what lies on the icing, and a number per piece."""
        theta, phi, y = around(points)
        high = below(-y, -level - 0.12, 0.06) * below(-torch.cos(phi), 0.55, 0.2)  # few in the hole
        if kind == "drizzle":
            x, _, z = tilt.T @ points
            u = x * math.cos(way) + z * math.sin(way)
            v = z * math.cos(way) - x * math.sin(way)
            wave = _ripples(u, v, spacing)
            if crossed:
                wave = torch.minimum(wave, _ripples(v, u, spacing))
            return below(wave, 0.03, 0.03), torch.zeros_like(theta)
        if kind == "crumbs":
            return below(-noise(points, 0.05, shift)[0], -0.25, 0.2) * high, noise(points, 0.04, shift)[1].abs()
        # cells are square where the ring is: pieces shrink a little towards the hole
        cell, size, stick = PIECES[kind]
        near, piece = scatter(theta * ring, phi * tube, cell, dense, seed, size, stick)
        return below(near, size, 0.02) * high, piece

    def thick(points: Tensor) -> Tensor:
        return 0.035 + relief * decoration(points)[0] * below(edge(points), -0.02, 0.04)

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        weight, piece = decoration(points)
        color = icing * (1 + 0.04 * noise(points, 0.2, shift)[0])
        if kind in ("sprinkles", "balls"):
            table = torch.cat(few, 1)
            top = table[:, (piece * len(few)).long().clamp(max=len(few) - 1)]
        elif kind == "crumbs":
            top = mix(rgb("c99a5a"), rgb("7a4a24"), piece)
        else:
            top = line
        return mix(color, top, below(-weight, -0.5, 0.5))

    def distance(points: Tensor) -> Tensor:
        dough = base.distance(points)
        return torch.maximum(torch.maximum(dough - thick(points), edge(points)), -dough - 0.01) * 0.9  # a shell

    return Solid(distance, base.center, base.radius + 0.06), paint
