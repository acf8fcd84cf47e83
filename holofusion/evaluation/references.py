"""Sets of images that are scored or compared with: chosen evenly, each image with the object or scene it shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from holofusion.config.evaluation import Evaluation
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation import features as networks
from holofusion.pipeline.registry import REAL_ROWS
from holofusion.utils.files import UserError, reading, replacing

REFERENCES = ("train", "held_out")
BLUR_WIDTH = 1 / 40  # of the image's side: deviation of the blur of `real_blurred`


@dataclass(frozen=True)
class Pictures:
    """uint8 images (n,S,S,3), for every image the number (n,) of its object or scene, and the names of files (n,), if any."""

    images: np.ndarray
    units: np.ndarray
    names: tuple[str, ...] = ()

    @property
    def n_units(self) -> int:
        """Number of objects or scenes."""
        return int(self.units.max()) + 1

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Scored:
    """Pictures to be scored; `against_held_out` replaces them where they are compared with the held-out objects."""

    pictures: Pictures
    against_held_out: Pictures | None = None

    @property
    def n_available(self) -> int:
        """Number of pictures; of the smaller set where there are two."""
        return (
            len(self.pictures)
            if self.against_held_out is None
            else min(map(len, (self.pictures, self.against_held_out)))
        )


@dataclass(frozen=True)
class ImageSet:
    """Features (n,C) float64 of one set of images, and for every image the number (n,) of its object or scene."""

    features: torch.Tensor
    units: np.ndarray

    @property
    def n_units(self) -> int:
        """Number of objects or scenes."""
        return int(self.units.max()) + 1

    def __len__(self) -> int:
        return len(self.features)


def evenly(count: int, wanted: int) -> np.ndarray:
    """`wanted` of 0 .. count - 1, evenly spaced; all where there are fewer."""
    chosen = min(count, wanted)
    return np.arange(chosen) * count // chosen


def renumbered(units: np.ndarray) -> np.ndarray:
    """The same grouping, numbered from 0 without gaps."""
    return np.unique(units, return_inverse=True)[1]


def reference_rows(data: PreparedCategory, names: list[str], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) of `frames` evenly spaced images of each named capture (all if it has fewer), and object numbers (n,).

    Two captures of one object share its number: they are not independent.
    """
    numbers = {
        object_id: number for number, object_id in enumerate(dict.fromkeys(data.object_of[name] for name in names))
    }
    rows, units = [], []
    for name in names:
        own = data.frames[name]
        chosen = evenly(len(own), frames)
        rows += [own[index] for index in chosen]
        units += [numbers[data.object_of[name]]] * len(chosen)
    return np.array(rows, int), np.array(units, int)


def names_of(data: PreparedCategory, split: str) -> list[str]:
    """Captures of the split `train` or `held_out`. Raises UserError if it names none."""
    names = data.train if split == "train" else data.held_out
    if not names:
        raise UserError(f"{data.folder / 'split.json'}: no {split} objects to compare with")
    return names


def reference_set(
    data: PreparedCategory, split: str, settings: Evaluation, extractor: FeatureExtractorBase, cache: Path
) -> ImageSet:
    """Real images of the `train` or `held_out` objects. Features are kept in `cache`, named by pixels and network.

    Safe with several jobs at once: a file appears whole or not at all, and equal names hold equal content.
    Raises UserError if the split names no object.
    """
    rows, units = reference_rows(data, names_of(data, split), settings.reference_frames)
    digest = hashlib.sha256(networks.network_identity(settings.feature_network, settings.inception_weights).encode())
    for row in rows:
        digest.update(np.ascontiguousarray(data.images[row]).data)
    path = cache / f"{data.category}-{split}-{digest.hexdigest()[:24]}.safetensors"
    if path.is_file():
        with reading(path, "delete it, and it is made again"):
            features = load_file(path)["features"]
    else:
        features = networks.extract(extractor, (data.images[row] for row in rows), len(rows), f"features {split}")
        with replacing(path) as temporary:
            save_file({"features": features}, temporary)
    return ImageSet(features.double(), units)


def real_pictures(kind: str, data: PreparedCategory, other: PreparedCategory | None, count: int, frames: int) -> Scored:
    """Up to `count` real images to be scored in the place of generated ones.

    real_floor: of the objects of the other split: what a perfect generator scores. real_blurred: the same, blurred.
    real_other: of another category, `other`. real_copy: of the training objects, but not the `frames` of each that are
    the reference: a generator that has learned its training objects by heart.
    Raises UserError for an unknown kind, for `real_other` without another category, and for `real_copy` where every
    training image is in the reference.
    """
    if kind not in REAL_ROWS:
        raise UserError(f"{kind}: not real images; choose from {', '.join(REAL_ROWS)}")
    if kind == "real_other":
        if other is None:
            raise UserError("real_other: no other category; set evaluation.other_category or list a second category")
        return Scored(_resized(_some(other, "train", count), data.image_size))
    if kind == "real_copy":
        taken = frozenset(reference_rows(data, data.train, frames)[0].tolist())
        copies = _some(data, "train", count, taken)
        if not len(copies):
            raise UserError(f"real_copy: {data.category}: evaluation.reference_frames leaves no further training image")
        return Scored(copies)
    held_out, train = _some(data, "held_out", count), _some(data, "train", count)
    return Scored(_blurred(held_out), _blurred(train)) if kind == "real_blurred" else Scored(held_out, train)


def _some(data: PreparedCategory, split: str, count: int, taken: frozenset[int] = frozenset()) -> Pictures:
    rows, units = reference_rows(data, names_of(data, split), max(len(own) for own in data.frames.values()))
    free = np.array([index for index, row in enumerate(rows) if row not in taken], int)
    chosen = free[evenly(len(free), count)] if len(free) else free
    return Pictures(np.asarray(data.images[rows[chosen]]), renumbered(units[chosen]))


def _blurred(pictures: Pictures) -> Pictures:
    blur = ImageFilter.GaussianBlur(BLUR_WIDTH * pictures.images.shape[1])
    return Pictures(
        np.stack([np.asarray(Image.fromarray(image).filter(blur)) for image in pictures.images]), pictures.units
    )


def _resized(pictures: Pictures, size: int) -> Pictures:
    if pictures.images.shape[1] == size:
        return pictures
    images = [
        np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)) for image in pictures.images
    ]
    return Pictures(np.stack(images), pictures.units)
