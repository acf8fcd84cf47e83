"""Hypotheses of one scene: many views of it, each super-resolved several times (HoloFusion, stage 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from holofusion.cameras import CONVENTION, Cameras, cameras_from_json, cameras_to_json
from holofusion.cameras.spread import spread_cameras
from holofusion.config.sampling import Hypotheses
from holofusion.methods.superresolution import SuperResolvedScene
from holofusion.rendering.images import from_bytes, to_bytes
from holofusion.utils.files import read_json, reading, write_json
from holofusion.utils.random import generator_for


@dataclass(frozen=True)
class HypothesisBank:
    """K super-resolved images of each of V cameras: pixels uint8 (V, K, S, S, 3)."""

    cameras: Cameras
    pixels: np.ndarray

    def images(self, device: torch.device) -> Tensor:
        """The images as (V, K, 3, S, S) in [0, 1]."""
        return from_bytes(self.pixels).to(device)

    def save(self, folder: Path, **notes: object) -> None:
        """Write bank.npy, and cameras.json with `notes`, into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "bank.npy", self.pixels)
        cameras = cameras_to_json(self.cameras)
        facts = {"convention": CONVENTION, "image_size": self.pixels.shape[2], **notes}
        write_json(folder / "cameras.json", facts | {"cameras": cameras})

    @classmethod
    def load(cls, folder: Path) -> HypothesisBank:
        """What `save` wrote. Raises UserError naming the file that is missing or damaged."""
        with reading(folder / "cameras.json"):
            cameras = cameras_from_json(read_json(folder / "cameras.json")["cameras"])
        with reading(folder / "bank.npy"):
            bank = np.load(folder / "bank.npy", allow_pickle=False)
            if bank.ndim != 5 or len(bank) != len(cameras):
                raise ValueError(f"{len(cameras)} cameras, pictures of shape {bank.shape}")
            return cls(cameras, bank)


def draw_hypotheses(
    scene: SuperResolvedScene, pool: Cameras, size: int, section: Hypotheses, advance: Callable[[], None] = lambda: None
) -> HypothesisBank:
    """`section.count` images of side `size` from each of `section.views` cameras of the pool, all round the scene.

    advance: called after each camera.
    """
    seed = scene.facts.seed
    cameras = spread_cameras(pool, section.views, generator_for("cameras", seed))
    pixels = []
    for index in range(len(cameras)):
        generator = generator_for("hypotheses", seed, index)
        camera = cameras[index].to(scene.device)
        pixels.append(to_bytes(scene.hypotheses(camera, size, section.count, generator)))
        advance()
    return HypothesisBank(cameras, np.stack(pixels))
