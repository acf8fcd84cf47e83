"""Procedural teddy bears, about two units tall, +y up, facing +z: proportions, pose, fur and clothes at random."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from holofusion.data.synthetic.clothes import clothes
from holofusion.data.synthetic.fur import Fur, random_fur
from holofusion.data.synthetic.sdf import (
    Limb,
    Paint,
    Part,
    column,
    ellipsoid,
    length,
    limb,
    rotation,
    union,
)
from holofusion.data.synthetic.teddybear_head import head
from holofusion.data.synthetic.textures import below, dashes, mix


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
    fur = random_fur(random)
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
    parts += head(random, fur, head_size, head_y, fluff)
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
