"""Fur of a teddy bear: colours, speckle and curls at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from holofusion.data.synthetic.textures import below, jittered, mix, noise, rgb, speckled

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


def random_fur(random: np.random.Generator) -> Fur:
    """The fur of one bear, drawn at random."""
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
