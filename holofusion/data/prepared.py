"""Prepared data, as training and evaluation see it: one memory-mapped file per kind, cameras, split, frozen cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from holofusion.cameras import CONVENTION, Cameras, Orbit, cameras_from_json
from holofusion.utils.files import DAMAGED, UserError, read_json, reading

AGAIN = "run `holofusion prepare` again"


@dataclass(frozen=True)
class PreparedCategory:
    """One category as `holofusion prepare` wrote it.

    source: the setting `dataset.source` it was prepared with, or None.
    images: uint8 (N,S,S,3), white background.  masks: uint8 (N,S,S), 255 inside.  cameras: N cameras; each object
    lies inside [-1,1]^3 of its own normalised world.
    objects: names of the captures, each with its own world; two captures of one object are two names of which
    `object_of` gives the object.  frames: row numbers by name.  train, held_out: names; no object is in both.
    evaluation_cameras: the frozen list every method is rendered from.  turntable: one full turn, of any
    number of frames.
    """

    folder: Path
    category: str
    source: str | None
    image_size: int
    config_hash: str
    images: np.ndarray
    masks: np.ndarray
    cameras: Cameras
    objects: list[str]
    object_of: dict[str, str]
    frames: dict[str, list[int]]
    train: list[str]
    held_out: list[str]
    evaluation_cameras: Cameras
    turntable: Orbit

    @classmethod
    def load(cls, folder: Path | str) -> PreparedCategory:
        """Open a prepared folder. Raises UserError when it is missing, incomplete or at odds with itself."""
        folder = Path(folder)
        if not (folder / "data.json").is_file():
            raise UserError(f"{folder}: not a prepared category (no data.json); run `holofusion prepare` first")
        data, split = read_json(folder / "data.json"), read_json(folder / "split.json")
        try:
            columns = load_file(folder / "cameras.safetensors")
            cameras = Cameras(columns["R"], columns["T"], columns["focal"], columns["principal"])
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
            masks = np.load(folder / "masks.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, *DAMAGED) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{folder}: prepared data is damaged ({reason}); {AGAIN}") from None
        with reading(folder / "data.json", AGAIN):
            size = int(data["image_size"])
            facts = {
                key: data[key] for key in ("category", "image_size", "config_hash", "objects", "object_of", "frames")
            }
            source = data.get("source")  # folders of former versions do not say
            unknown = {*facts["objects"]} - {*facts["object_of"]} - {*facts["frames"]}
            if unknown or max((row for rows in facts["frames"].values() for row in rows), default=-1) >= len(cameras):
                raise ValueError("objects and frames do not agree")
        with reading(folder / "split.json", AGAIN):
            train, held_out = list(split["train"]), list(split["held_out"])
            if {*train, *held_out} - {*facts["objects"]}:
                raise ValueError("it names objects that are not there")
        if images.shape != (len(cameras), size, size, 3) or masks.shape != (len(cameras), size, size):
            raise UserError(f"{folder}: images, masks and cameras differ in number; run `holofusion prepare` again")
        return cls(
            folder=folder,
            images=images,
            masks=masks,
            cameras=cameras,
            train=train,
            held_out=held_out,
            evaluation_cameras=read_camera_list(folder / "evaluation_cameras.json"),
            turntable=_read_orbit(folder / "turntable.json"),
            source=source,
            **facts,
        )

    def batch(self, rows: Sequence[int] | Tensor) -> tuple[Tensor, Tensor, Cameras]:
        """Rows, in any order, as images (B,3,S,S) and masks (B,1,S,S), float32 in [0,1], and their cameras."""
        index = torch.as_tensor(rows, dtype=torch.long)
        images = torch.from_numpy(self.images[index.numpy()]).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(self.masks[index.numpy()])[:, None].float() / 255
        return images.contiguous(), masks, self.cameras[index]


def _read_orbit(path: Path) -> Orbit:
    content = read_json(path)
    try:
        return Orbit(*(float(content[key]) for key in ("distance", "elevation_deg", "focal")))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{path}: expected distance, elevation_deg and focal of one turn; run `holofusion prepare` again"
        ) from None


def read_camera_list(path: Path) -> Cameras:
    """Cameras of a list file. Raises UserError when the file names another convention than ours."""
    with reading(path):
        content = read_json(path)
        if content.get("convention") != CONVENTION:
            raise UserError(f"{path}: camera convention is {content.get('convention')!r}, expected {CONVENTION!r}")
        return cameras_from_json(content["cameras"])
