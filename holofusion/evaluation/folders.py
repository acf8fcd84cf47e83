"""Folders of rendered views: PNG files in shards, each shard with a `cameras.json` that lists them by scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from holofusion.cameras import CAMERA_KEYS
from holofusion.utils.files import DAMAGED, UserError, read_json


def read_png(path: Path, size: int) -> np.ndarray:
    """An RGB PNG of `size` x `size` pixels as uint8 (size,size,3). Raises UserError naming file and fault."""
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise UserError(f"{path}: listed in cameras.json but missing") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UserError(f"{path}: not a readable PNG ({error})") from None
    if image.mode != "RGB":
        raise UserError(f"{path}: mode {image.mode}; views are RGB on white")
    if image.size != (size, size):
        raise UserError(f"{path}: {image.width}x{image.height} pixels, the reference images are {size}x{size}")
    return np.asarray(image)


@dataclass(frozen=True)
class ViewFolder:
    """Every view of a run: files, scene seeds in order, and for each file the number of its scene (n,)."""

    files: list[Path]
    seeds: list[int]
    units: np.ndarray
    image_size: int

    @classmethod
    def load(cls, folder: Path, run: str, image_size: int) -> ViewFolder:
        """Collect the shards of `folder` (or the folder itself, if `cameras.json` lies in it), scenes sorted by seed.

        Raises UserError if there is none, if a shard is of another run or image size, a seed comes twice,
        has a camera that is not finite, or no views at all.
        """
        shards = (
            [folder] if (folder / "cameras.json").is_file() else sorted(p.parent for p in folder.glob("*/cameras.json"))
        )
        if not shards:
            raise UserError(f"{folder}: no cameras.json in it or in its subfolders; render writes one per shard")
        scenes: dict[int, list[Path]] = {}
        for shard in shards:
            for seed, files in _read_shard(shard, run, image_size).items():
                if seed in scenes:
                    raise UserError(f"{shard / 'cameras.json'}: seed {seed} is listed twice")
                scenes[seed] = files
        seeds = sorted(seed for seed, files in scenes.items() if files)
        if not seeds:
            raise UserError(f"{folder}: cameras.json lists no views")
        files = [file for seed in seeds for file in scenes[seed]]
        units = np.repeat(np.arange(len(seeds)), [len(scenes[seed]) for seed in seeds])
        return cls(files, seeds, units, image_size)

    def image(self, index: int) -> np.ndarray:
        """One view as uint8 (S,S,3)."""
        return read_png(self.files[index], self.image_size)


def _read_shard(shard: Path, run: str, image_size: int) -> dict[int, list[Path]]:
    """Files of every scene of one shard by seed, after the checks that need no picture."""
    path = shard / "cameras.json"
    listing = read_json(path)
    try:
        if listing.get("run", run) != run:
            raise UserError(f"{path}: views of {listing['run']}, expected {run}")
        if listing["image_size"] != image_size:
            raise UserError(f"{path}: image_size is {listing['image_size']}, the reference has {image_size}")
        scenes: dict[int, list[Path]] = {}
        for scene in listing["scenes"]:
            for view in scene["views"]:
                if not all(np.isfinite(view[key]).all() for key in CAMERA_KEYS):
                    raise UserError(f"{path}: camera of {view['file']} is not finite")
            if scene["seed"] in scenes:
                raise UserError(f"{path}: seed {scene['seed']} is listed twice")
            scenes[scene["seed"]] = [shard / view["file"] for view in scene["views"]]
    except DAMAGED as error:
        raise UserError(f"{path}: not a list of views as render writes it ({error})") from None
    return scenes
