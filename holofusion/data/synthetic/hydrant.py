"""Procedural fire hydrants, two units tall, +y up, the large outlet facing +z."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from holofusion.data.synthetic.sdf import Paint, Part, Solid, column, cylinder, ellipsoid, length, limb, union
from holofusion.data.synthetic.textures import below, emblem, jittered, mix, noise, readable, rgb

Wear = Callable[[Tensor, Tensor, Tensor], Tensor]  # colour, points, normals (each (3, n)) -> colour
PAINTS = tuple("c4202a d8352a e8b31f f0c83a 1f5fa8 2f8a4a e9e6de a9adb2 e0661f 7a1f24 3a3f47 58a7c8".split())
WORDS = ("FIRE", "H2O", "M7", "F12", "No5", "82", "37", "K9", "EAST", "WM", "A", "1904")


def hydrant(random: np.random.Generator) -> list[Part]:
    """Parts of one random hydrant."""
    order = random.permutation(len(PAINTS))
    main, other, third = (jittered(rgb(PAINTS[i]), random) for i in order[:3])
    cap = other if random.random() < 0.65 else main
    wear = _wear(random)
    width = random.uniform(0.25, 0.38)
    shoulder, outlet_y = random.uniform(0.38, 0.55), random.uniform(0.08, 0.3)
    barrel = _barrel(random, main, third, wear, width)

    def plain(color: Tensor) -> Paint:
        return lambda points, normals: wear(color.expand_as(points), points, normals)

    base = union(
        0.03,
        cylinder((0, -1, 0), (0, -0.9, 0), width * 1.45, 0.02),
        cylinder((0, -0.93, 0), (0, -0.74, 0), width * 1.12, 0.03),
    )
    tube = cylinder((0, -0.95, 0), (0, shoulder, 0), width, 0.02)
    parts = [
        Part(union(0.05, tube, *_rings(random, width, shoulder)), barrel),
        Part(base, plain(main if random.random() < 0.6 else third)),
        Part(_bolts(-0.885, width * 1.28, int(random.integers(6, 10)), 0.038), plain(main * 0.75)),
        Part(cylinder((0, shoulder - 0.04, 0), (0, shoulder + 0.05, 0), width * 1.24, 0.02), plain(cap)),
        Part(_bolts(shoulder + 0.065, width * 1.11, int(random.integers(6, 11)), 0.034), plain(cap * 0.75)),
    ]
    parts += _bonnet(random, plain(cap), cap, shoulder + 0.05, width)
    reach = width + random.uniform(0.14, 0.22)
    side_size, front_size = random.uniform(0.11, 0.15), random.uniform(0.16, 0.21)
    coats = (plain(main), plain(cap), plain(cap * 0.8))
    for way in (-1, 1):
        parts += _outlet(np.array([way, 0, 0.0]), reach, outlet_y, side_size, *coats, random)
    if random.random() < 0.8:
        low = outlet_y - random.uniform(0.0, 0.12)
        parts += _outlet(np.array([0, 0, 1.0]), reach, low, front_size, *coats, random)
    if random.random() < 0.6:
        metal = rgb("6f7175") if random.random() < 0.7 else rgb("3a3532")
        for way in (-1, 1) if random.random() < 0.6 else (1,):
            start = np.array([way * (reach + 0.02), outlet_y - side_size * 0.8, 0.06])
            end = np.array([way * width * 0.55, outlet_y - 0.18, width * 0.85])
            parts.append(Part(_chain(start, end), plain(metal)))
    return parts


def _rings(random: np.random.Generator, width: float, shoulder: float) -> list[Solid]:
    heights = [-0.62] if random.random() < 0.5 else [-0.62, shoulder - 0.14]
    return [cylinder((0, y - 0.03, 0), (0, y + 0.03, 0), width * 1.1, 0.02) for y in heights]


def _wear(random: np.random.Generator) -> Wear:
    """Weathering of a paint: chips down to rust, streaks running down, dirt near the ground."""
    chips, rust = random.uniform(0.35, 0.85), random.uniform(0.2, 0.9)
    shift = random.uniform(0, 32)
    brown = jittered(rgb(random.choice(["7a3f1e", "8f4f25", "5a3220"])), random)

    def wear(color: Tensor, points: Tensor, normals: Tensor) -> Tensor:
        x, y, z = points
        fine, broad = noise(points, 0.05, shift), noise(points, 0.22, shift)
        stretched = torch.stack((x, y * 0.16, z))
        run = noise(stretched, 0.06, shift)[2]
        color = color * (1 + 0.05 * noise(points, 0.035, shift + 5)[0] + 0.07 * broad[0])
        streaks = ((run - 0.25) * 1.6).clamp(0, 1) * (broad[1] + 0.6).clamp(0, 1)
        color = mix(color, mix(color, brown, 0.75), rust * 0.6 * streaks)
        flake = fine[0] * 0.7 + broad[2] * 0.7 - (1.05 - 0.55 * chips)
        color = mix(color, color * 0.6 + 0.4, below(-flake, 0.09, 0.04))
        color = mix(color, mix(brown, rgb("2f2723"), 0.4 * (fine[3] + 1) / 2), below(-flake, 0.0, 0.04))
        dirt = ((-0.72 - y) * 2.5 + 0.4 * broad[3]).clamp(0, 0.7)
        return mix(color, rgb("5d5346"), dirt)

    return wear


def _barrel(random: np.random.Generator, main: Tensor, second: Tensor, wear: Wear, width: float) -> Paint:
    """Barrel paint: reflective bands, lettering in front and at the back, a painted foot."""
    band = random.choice(["none", "one", "two", "hazard"], p=[0.35, 0.3, 0.2, 0.15])
    light = rgb("f2f0e8") if float((main - 0.93).abs().max()) > 0.4 else rgb("26282c")
    ink = readable(light if random.random() < 0.7 else second, main)
    front, rear = (str(WORDS[i]) for i in random.choice(len(WORDS), 2, replace=False))
    y_band, size = random.uniform(-0.2, -0.1), random.uniform(0.17, 0.22)
    y_word = -0.42
    lines = {"none": (), "two": (y_band, y_band - 0.12)}.get(str(band), (y_band,))

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        x, y, z = points
        angle = torch.atan2(x, z)
        color = main.expand_as(points)
        for level in lines:
            inside = below((y - level).abs(), 0.07 if band == "hazard" else 0.04)
            stripe = light
            if band == "hazard":
                slant = torch.remainder((angle * width + y) / 0.13, 1.0) - 0.5
                stripe = mix(rgb("1f2024"), rgb("f2c32c"), below(slant.abs(), 0.25, 0.1))
            color = mix(color, stripe, inside)
        for word, turn in ((front, 0.0), (rear, math.pi)):
            u = (torch.remainder(angle - turn + math.pi, 2 * math.pi) - math.pi) * width
            wide = size * min(0.62 * len(word), 1.9) if len(word) > 1 else size * 0.8
            color = mix(color, ink, emblem(word, u / wide, (y - y_word) / (size * 0.75)))
        return wear(color, points, normals)

    return paint


def _bonnet(random: np.random.Generator, paint: Paint, color: Tensor, y: float, width: float) -> list[Part]:
    tall = random.uniform(0.24, 0.36)
    ribs, depth = int(random.integers(6, 11)), random.choice([0.0, 0.035])
    dome = ellipsoid((0, y, 0), (width * 1.06, tall, width * 1.06))

    def distance(points: Tensor) -> Tensor:
        swell = depth * torch.cos(ribs * torch.atan2(points[0], points[2])).clamp(min=0)
        return torch.maximum(dome.distance(points) - swell * below(points[1], y + tall * 0.8, 0.2), y - points[1]) * 0.9

    top = y + tall
    nut = cylinder((0, top - 0.03, 0), (0, top + 0.13, 0), 0.075, 0.012, int(random.choice([5, 5, 6, 4])))
    return [
        Part(Solid(distance, dome.center, dome.radius + 0.04), paint),
        Part(cylinder((0, top - 0.06, 0), (0, top + 0.02, 0), 0.13, 0.02), paint),
        Part(nut, paint),
    ]


def _outlet(
    way: np.ndarray,
    reach: float,
    y: float,
    size: float,
    pipe: Paint,
    cap: Paint,
    nut: Paint,
    random: np.random.Generator,
) -> list[Part]:
    """A pipe in direction `way`, its cap with grip lugs, and the cap's nut."""
    at = np.array([0, y, 0.0])
    lugs = int(random.integers(4, 9))
    start, end = at + way * (reach - 0.02), at + way * (reach + 0.10)
    lid = cylinder(start, end, size * 1.18, 0.025)
    collar = cylinder(at + way * (reach - 0.08), at + way * (reach - 0.03), size * 1.3, 0.015)
    side = np.array([way[2], 0, -way[0]])
    studs = []
    for k in range(lugs):
        a = 2 * math.pi * k / lugs
        out = (side * math.cos(a) + np.array([0, 1, 0]) * math.sin(a)) * size * 1.18
        studs.append(limb(start + out + way * 0.02, end + out - way * 0.02, 0.03, 0.03))
    return [
        Part(union(0.03, cylinder(at, at + way * reach, size, 0.01), collar), pipe),
        Part(union(0.015, lid, *studs), cap),
        Part(cylinder(end - way * 0.02, end + way * 0.09, 0.06, 0.01, 5), nut),
    ]


def _bolts(y: float, ring: float, count: int, size: float) -> Solid:
    """`count` bolt heads on a circle, as one bolt repeated by folding the angle."""
    bolt = cylinder((0, y - 0.03, ring), (0, y + 0.03, ring), size, 0.01, 6)
    sector = 2 * math.pi / count

    def distance(points: Tensor) -> Tensor:
        x, height, z = points
        rho = (x * x + z * z).sqrt()
        angle = torch.remainder(torch.atan2(x, z), sector) - sector / 2
        return bolt.distance(torch.stack((rho * angle.sin(), height, rho * angle.cos())))

    return Solid(distance, column([0, y, 0]), ring + 0.06)


def _chain(start: np.ndarray, end: np.ndarray, links: int = 9) -> Solid:
    """Links hanging between two points."""
    at = [start + (end - start) * t - np.array([0, 0.5 * t * (1 - t), 0]) for t in np.linspace(0, 1, links + 1)]
    thick = [0.02 + 0.012 * (k % 2) for k in range(links)]
    pieces = [limb(at[k], at[k + 1], thick[k], thick[k]) for k in range(links)]
    middle = column((start + end) / 2 - np.array([0, 0.06, 0]))
    radius = max(float(length(p.center - middle)) + p.radius for p in pieces)
    return Solid(lambda p: torch.stack([piece.distance(p) for piece in pieces]).amin(0), middle, radius)
