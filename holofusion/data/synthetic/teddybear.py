"""Procedural teddy bears, about two units tall, +y up, facing +z: proportions, pose, fur and clothes at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from holofusion.data.synthetic.clothes import cap, clothes
from holofusion.data.synthetic.sdf import (
    Limb,
    Paint,
    Part,
    Solid,
    carved,
    column,
    ellipsoid,
    length,
    limb,
    rotation,
    union,
)
from holofusion.data.synthetic.textures import below, dashes, jittered, mix, noise, rgb, speckled

FURS = (
    ["8a5a32", "6b4226", "a8743f", "c49a63", "4a3021", "d9b982", "b5885a", "7d4f37"]  # browns, tan, honey
    + ["efe3cc", "f4efe6", "d8cdbb", "9a9793", "6e7078", "3b3a3d"]  # cream, white, greys
    + ["e3a3b4", "c9798f", "8fb4d6", "5f86b5", "a58cc4", "9cc2a0", "e0b04a", "b0452f"]  # toys of every colour
)


@dataclass(frozen=True)
class Fur:
    """Colours of one bear: coat, second coat (paws, ears of a two-tone bear), light parts (snout, pads), thread."""

    coat: Tensor
    second: Tensor
    light: Tensor
    thread: Tensor
    amount: float  # speckle
    cell: float
    shift: float
    curl: float

    def paint(self, color: Tensor, points: Tensor) -> Tensor:
        """Fur of this bear in another of its colours."""
        coat = speckled(color, points, self.amount, self.cell, self.shift)
        if self.curl:
            coat = coat * (1 - self.curl * below(noise(points, self.cell * 1.7, self.shift + 9)[2].abs(), 0.1, 0.25))
        return coat


def _fur(random: np.random.Generator) -> Fur:
    coat = jittered(rgb(random.choice(FURS)), random)
    pale = mix(coat, rgb(random.choice(["f6ead2", "f3dcc0", "f7f0ea"])), random.uniform(0.55, 0.85))
    odd = jittered(rgb(random.choice(["e7b7ae", "d99a86", "5b3a28", "f2d9c4"])), random)
    light = pale if random.random() < 0.75 else odd
    value = float(coat.mean())
    two_tone = random.random() < 0.22
    second = rgb("2b292b") if value > 0.6 else rgb("efe6d6")
    thread = rgb("2a1c18") if float(light.mean()) > 0.35 else rgb("efe0c4")
    return Fur(
        coat,
        jittered(second, random) if two_tone else coat,
        light,
        thread,
        random.uniform(0.10, 0.22) * (1.4 if value < 0.35 else 1.0),
        random.uniform(0.030, 0.045),
        random.uniform(0, 32),
        random.uniform(0.15, 0.3) if random.random() < 0.35 else 0.0,
    )


def _direction(pitch: float, yaw: float) -> np.ndarray:
    """Unit vector: pitch above the horizon, yaw from +z towards +x (radians)."""
    return np.array([math.cos(pitch) * math.sin(yaw), math.sin(pitch), math.cos(pitch) * math.cos(yaw)])


def _limb(start: np.ndarray, first: np.ndarray, second: np.ndarray, reach: float, thick: float, paw: float) -> Limb:
    bend = start + first * reach * 0.55
    end = bend + second * reach * 0.45
    hand = ellipsoid(end, (paw, paw, paw * 0.95))
    solid = union(0.08, limb(start, bend, thick * 1.08, thick * 0.95), limb(bend, end, thick * 0.95, paw * 0.9), hand)
    return Limb(solid, column(start), column(end), column(second), hand, reach)


def _pads(fur: Fur, base: Tensor, part: Limb, center: Tensor, face: Tensor, size: float, toes: bool) -> Paint:
    """Fur with a stitched pad on the side `face` (3, 1) of a paw, and three toes above it."""
    up = column([0.0, 1.0, 0.0]) if abs(float(face[1])) < 0.9 else column([0.0, 0.0, 1.0])
    side = torch.linalg.cross(up, face, dim=0)
    side = side / length(side)
    rise = torch.linalg.cross(face, side, dim=0)

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        local = points - center
        u, v = (side * local).sum(0), (rise * local).sum(0)
        facing = below(-(face * normals).sum(0), -0.25, 0.1)
        ring = length(torch.stack((u, (v + 0.25 * size * toes) / 0.92)))
        pad = below(ring, size * (0.62 if toes else 0.7))
        for k in (-1, 0, 1) if toes else ():
            toe = length(torch.stack((u - k * size * 0.5, v - size * (0.62 - 0.1 * k * k))))
            pad = torch.maximum(pad, below(toe, size * 0.19))
        color = mix(fur.paint(base, points), fur.paint(fur.light, points) * 0.96, pad * facing)
        angle = torch.atan2(v, u) * size
        seam = dashes(ring - size * (0.66 if toes else 0.74), angle, 0.011, 0.07)
        return mix(color, fur.thread, 0.75 * seam * facing)

    return paint


def teddybear(random: np.random.Generator) -> list[Part]:
    """Parts of one random bear."""
    fur = _fur(random)
    fluff = random.uniform(0.008, 0.016)
    plump = random.uniform(0.82, 1.2)
    belly = np.array([0.42 * plump, random.uniform(0.44, 0.60), 0.38 * plump])
    chest_y = belly[1] * 0.55
    body = union(
        0.2,
        ellipsoid((0, -0.05, 0.02), belly),
        ellipsoid((0, chest_y, 0), (belly[0] * random.uniform(0.66, 0.82), 0.30, belly[2] * 0.78)),
    )
    head_size = random.uniform(0.34, 0.50)
    head_y = chest_y + 0.2 + head_size * 0.9
    arms, legs = _limbs(random, belly, chest_y, plump)
    parts = [Part(body, _belly(fur, random, belly), fluff, 0.5)]
    parts += [Part(a.solid, _pads(fur, fur.second, a, a.end, a.toe, 0.12, False), fluff, 0.5) for a in arms]
    for leg in legs:
        face = leg.toe
        foot = union(0.06, leg.solid, leg.paw)
        tip = leg.end + face * leg.paw.radius * 0.5
        parts.append(Part(foot, _pads(fur, fur.second, leg, tip, face, 0.17, True), fluff, 0.5))
    parts += _head(random, fur, head_size, head_y, fluff)
    tail = ellipsoid((0, -belly[1] * 0.55, -belly[2] * 0.95), (0.11, 0.11, 0.10))
    parts.append(Part(tail, lambda p, n: fur.paint(fur.coat, p), fluff, 0.5))
    return parts + clothes(random, body, arms, belly, chest_y, head_y - head_size * 0.83)


def _belly(fur: Fur, random: np.random.Generator, belly: np.ndarray) -> Paint:
    """Body fur: a seam down the front, or a lighter stitched belly patch."""
    patch = random.random() < 0.5
    wide, tall = belly[0] * random.uniform(0.55, 0.72), belly[1] * random.uniform(0.55, 0.72)

    def paint(points: Tensor, normals: Tensor) -> Tensor:
        x, y, _ = points
        front = below(-normals[2], -0.1, 0.1)
        color = fur.paint(fur.coat, points)
        if patch:
            ring = length(torch.stack((x / wide, (y + 0.05) / tall)))
            color = mix(color, fur.paint(fur.light, points), below(ring, 1.0, 0.05) * front)
            seam = dashes((ring - 1.08) * wide, torch.atan2(y, x) * wide, 0.012, 0.08)
        else:
            seam = torch.maximum(below(x.abs(), 0.009), dashes(torch.remainder(y, 0.09) - 0.045, x + 0.06, 0.012, 0.12))
            seam = seam * below(x.abs(), 0.045)
        return mix(color, fur.thread, 0.7 * seam * front)

    return paint


def _limbs(
    random: np.random.Generator, belly: np.ndarray, chest_y: float, plump: float
) -> tuple[list[Limb], list[Limb]]:
    arms, legs = [], []
    reach, thick = random.uniform(0.46, 0.62), random.uniform(0.12, 0.155) * plump
    gesture = random.choice(["down", "open", "wave", "hug", "up"], p=[0.3, 0.3, 0.15, 0.15, 0.1])
    sitting = random.random() < 0.6
    spread, stride = random.uniform(0.3, 0.65), random.uniform(-0.25, 0.25)
    leg_reach, leg_thick = random.uniform(0.42, 0.58), random.uniform(0.155, 0.195) * plump
    for side in (-1, 1):
        raised = gesture == "up" or (gesture == "wave" and side == 1)
        low, high = (0.35, 0.9) if raised else {"down": (-1.2, -0.8), "open": (-0.5, 0.1)}.get(gesture, (-0.6, -0.3))
        pitch = random.uniform(low, high)
        yaw = random.uniform(0.25, 0.6) if gesture == "hug" else random.uniform(0.9, 1.5)
        first = _direction(pitch, side * yaw)
        second = _direction(pitch + random.uniform(-0.1, 0.5), side * (yaw - random.uniform(0.2, 0.7)))
        shoulder = np.array([side * belly[0] * 0.66, chest_y + 0.1, 0.0])
        arms.append(_limb(shoulder, first, second, reach, thick, thick * random.uniform(0.95, 1.1)))
        hip = np.array([side * belly[0] * 0.55, -belly[1] * 0.62, 0.08 if sitting else 0.0])
        if sitting:
            first = _direction(random.uniform(-0.15, 0.1), side * spread * random.uniform(0.8, 1.2))
            leg = _limb(hip, first, first, leg_reach * 1.1, leg_thick, leg_thick * 0.85)
            turn = rotation(x=-math.asin(first[1]), y=math.atan2(first[0], first[2]))
            center, size = leg.end + column([0.0, 0.055, 0.0]), (0.17, 0.215, 0.10)
            toe = column(first)
        else:
            first = _direction(-1.35, side * 1.2) + np.array([0, 0, side * stride])
            first = first / np.linalg.norm(first)
            leg = _limb(hip, first, first, leg_reach, leg_thick, leg_thick * 0.9)
            turn = rotation(y=side * random.uniform(0.05, 0.35))
            center, size = leg.end + column([0.0, -0.06, 0.07]), (0.165, 0.12, 0.225)
            toe = turn @ column([0.0, 0.0, 1.0])
        foot = ellipsoid(center.flatten().tolist(), size, turn)
        legs.append(Limb(leg.solid, leg.start, center, toe, foot, leg.length))
    return arms, legs


def _head(random: np.random.Generator, fur: Fur, size: float, y: float, fluff: float) -> list[Part]:
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
