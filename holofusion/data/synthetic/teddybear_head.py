"""Head of a procedural teddy bear: skull, ears, snout, nose and eyes at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from holofusion.data.synthetic.clothes import cap
from holofusion.data.synthetic.fur import Fur
from holofusion.data.synthetic.sdf import (
    Paint,
    Part,
    Solid,
    carved,
    column,
    ellipsoid,
    length,
    rotation,
    union,
)
from holofusion.data.synthetic.textures import below, dashes, jittered, mix, rgb


def head(random: np.random.Generator, fur: Fur, size: float, y: float, fluff: float) -> list[Part]:
    """Head, ears, snout, nose and eyes around the centre (0, y, 0)."""
    tilt = rotation(x=random.uniform(-0.05, 0.2), y=random.uniform(-0.3, 0.3), z=random.uniform(-0.18, 0.18))
    middle = column([0.0, y, 0.04])

    def at(u: float, v: float, w: float) -> list[float]:
        return (tilt @ column([u * size, v * size, w * size]) + middle).flatten().tolist()

    wide, cheek = random.uniform(1.0, 1.14), random.uniform(0.45, 0.6)
    skull = union(
        0.12,
        ellipsoid(at(0, 0, 0), (size * wide, size * 0.92, size * 0.88), tilt),
        *[ellipsoid(at(s * 0.5, -0.32, 0.2), (size * cheek,) * 3, tilt) for s in (-1, 1)],
    )
    mask = bool(float((fur.second - fur.coat).abs().max()) > 0.2)
    eye_x, eye_y = random.uniform(0.32, 0.44), random.uniform(0.06, 0.2)

    def face(points: Tensor, normals: Tensor) -> Tensor:
        u, v, w = tilt.T @ (points - middle) / size
        color = fur.paint(fur.coat, points)
        if mask:
            spot = length(torch.stack(((u.abs() - eye_x * 1.1) / 1.1, (v - eye_y + 0.03) / 1.3)))
            color = mix(color, fur.paint(fur.second, points), below(spot, 0.2, 0.05) * (w > 0))
        seam = dashes(u, v, 0.02, 0.16) * (v > eye_y + 0.2) * 0.6
        return mix(color, fur.thread, seam)

    parts = [Part(skull, face, fluff, 0.5)]
    ear, ear_x, ear_y = size * random.uniform(0.28, 0.52), random.uniform(0.68, 0.88), random.uniform(0.6, 0.78)
    for side in (-1, 1):
        turn = tilt @ rotation(y=side * 0.25, z=-side * 0.5)
        center = at(side * ear_x, ear_y, -0.02)

        def lobe(points: Tensor, normals: Tensor, turn: Tensor = turn, center: list[float] = center) -> Tensor:
            u, v, w = turn.T @ (points - column(center)) / ear
            inner = below(length(torch.stack((u, v))), 0.66, 0.06) * (w > 0.05)
            return mix(fur.paint(fur.second, points), fur.paint(fur.light, points) * 0.95, inner)

        shape = ellipsoid(center, (ear, ear, ear * 0.42), turn)
        front = (column(center) + turn @ column([0, 0, ear * 0.62])).flatten().tolist()
        hollow = ellipsoid(front, (ear * 0.62, ear * 0.62, ear * 0.42), turn)
        parts.append(Part(carved(shape, hollow), lobe, fluff, 0.5))
    if random.random() < 0.14:
        parts += cap(random, skull, tilt, middle, size)
    return parts + _muzzle(random, fur, size, tilt, at, fluff) + _eyes(random, skull, size, tilt, at, eye_x, eye_y)


def _button(center: Tensor, radius: float, tilt: Tensor, rim: Tensor, middle: Tensor) -> Paint:
    """A glossy button: `middle` inside, `rim` around it, and a painted glint that stays where it is."""
    glint = tilt @ column([-0.35, 0.45, 0.82])

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        local = (points - center) / radius
        ring = length((tilt.T @ local)[:2])
        color = mix(rim, middle, below(ring, 0.55, 0.12))
        return mix(color, rgb("f4f6ff"), 0.9 * below(length(local - glint), 0.36, 0.15))

    return paint


def _muzzle(
    random: np.random.Generator,
    fur: Fur,
    size: float,
    tilt: Tensor,
    at: Callable[[float, float, float], list[float]],
    fluff: float,
) -> list[Part]:
    """Snout with a stitched mouth, and the nose. `at` places head coordinates (units of `size`) in the object."""
    big = random.uniform(0.36, 0.48)
    radii = (size * big * 1.1, size * big * 0.85, size * big * random.uniform(0.8, 1.1))
    snout = ellipsoid(at(0, -0.25, 0.78), radii, tilt)
    nose_w = big * random.uniform(0.36, 0.5)
    smile, drop = random.uniform(0.5, 1.2), -0.25 - big * 0.25
    middle = column(at(0, 0, 0))

    def mouth(points: Tensor, normals: Tensor) -> Tensor:
        u, v, w = tilt.T @ (points - middle) / size
        line = below(u.abs(), 0.028, 0.03) * (v < -0.2) * (v > drop - 0.03)
        bow = v - drop + 0.06 - smile * (u.abs() - 0.13).square() * 3
        lip = below(bow.abs(), 0.032, 0.03) * (u.abs() < big * 0.62)
        return mix(fur.paint(fur.light, points), fur.thread, 0.9 * torch.maximum(line, lip) * (w > 0.7))

    dark = jittered(rgb(random.choice(["1d1615", "2a1a14", "3d231a", "7a3b3b"])), random)
    width = size * nose_w
    nose = ellipsoid(at(0, -0.25 + big * 0.45, 0.78 + big * 0.8), (width, width * 0.72, width * 0.7), tilt)
    return [
        Part(snout, mouth, fluff * 0.6, 0.4),
        Part(nose, _button(nose.center, width, tilt, dark, dark)),
    ]


def _eyes(
    random: np.random.Generator,
    skull: Solid,
    size: float,
    tilt: Tensor,
    at: Callable[[float, float, float], list[float]],
    x: float,
    y: float,
) -> list[Part]:
    iris = rgb(random.choice(["5a3216", "8a5522", "2f5a86", "14100f", "14100f", "14100f"]))
    radius = size * random.uniform(0.105, 0.14)
    eyes = []
    for side in (-1, 1):
        line = torch.tensor([at(side * x, y, w) for w in np.linspace(1.2, 0.2, 101)]).T
        seat = line[:, int((skull.distance(line) < 0).int().argmax())]  # where a line from the front meets the face
        ball = ellipsoid(seat.tolist(), (radius, radius, radius * 0.8), tilt)
        eyes.append(Part(ball, _button(ball.center, radius, tilt, iris, rgb("0e0b0b"))))
    return eyes
