"""A small prepared category of striped discs, and view folders made from images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 48
CAMERA = {
    "R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "T": [0.0, 0.0, 5.0],
    "focal_length": [3.0, 3.0],
    "principal_point": [0.0, 0.0],
}


def picture(kind: int, frame: int) -> np.ndarray:
    """A striped coloured disc on white (SIDE,SIDE,3): `kind` gives colours, `frame` the position."""
    random = np.random.default_rng((kind, 7))
    image = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(image)
    colour, stripe = (tuple(int(v) for v in random.integers(20, 230, 3)) for _ in range(2))
    left = 4 + frame % 5
    draw.ellipse((left, 6, left + 34, 40), fill=colour)
    for offset in range(8, 34, 6):
        draw.line((left + 6, 6 + offset, left + 28, 4 + offset), fill=stripe, width=2)
    return np.asarray(image)


class FakeData:
    """What the scores use of a prepared category."""

    category, image_size, folder = "disc", SIDE, Path("prepared")

    def __init__(self, train: int = 8, held_out: int = 4, frames: int = 4) -> None:
        self.train = [f"t{i}" for i in range(train)]
        self.held_out = [f"h{i}" for i in range(held_out)]
        self.frames = {
            name: [i * frames + f for f in range(frames)] for i, name in enumerate(self.train + self.held_out)
        }
        self.object_of = {name: name for name in self.frames}
        self.images = np.stack([picture(i, f) for i in range(train + held_out) for f in range(frames)])


def write_views(folder: Path, scenes: dict[int, list[np.ndarray]], run: str = "holofusion-disc-s0") -> Path:
    """A views folder of two shards holding `scenes` (seed -> images)."""
    for shard in range(2):
        seeds = [seed for seed in scenes if seed % 2 == shard]
        listing = []
        for seed in seeds:
            (folder / str(shard) / f"{seed:06d}").mkdir(parents=True)
            files = [f"{seed:06d}/view_{i:03d}.png" for i in range(len(scenes[seed]))]
            for file, image in zip(files, scenes[seed], strict=True):
                Image.fromarray(image).save(folder / str(shard) / file)
            listing.append({"seed": seed, "views": [{"file": file, **CAMERA} for file in files], "turntable": []})
        if seeds:
            content = {"convention": "pytorch3d_ndc", "image_size": SIDE, "run": run, "scenes": listing}
            (folder / str(shard) / "cameras.json").write_text(json.dumps(content))
    return folder
