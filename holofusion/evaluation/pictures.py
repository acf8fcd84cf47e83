"""Scoring a folder of pictures, whoever made them, against prepared data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from holofusion.config.evaluation import Evaluation
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import Entry
from holofusion.evaluation.references import Pictures, Scored
from holofusion.evaluation.score import Scorer
from holofusion.utils.files import UserError

SUBSETS, SUBSET = 100, 1000  # of the kernel distance, and images of each at most
REPLICATES = 200  # behind the intervals
ALL = 10**6  # frames of an object, at most


def score_folder(
    folder: Path | str,
    data: Path | str,
    network: str = "efficientnet_lite0",
    inception_weights: Path | str | None = None,
    device: torch.device | str = "cpu",
) -> list[Entry]:
    """Distances and shares of the PNG files below `folder` against all images of the prepared data, with intervals.

    Pictures in one subfolder are views of one scene; those directly in `folder` are a scene each. They have the data's size
    and a white background. network: `efficientnet_lite0`, `efficientnet_lite2`, or `inception` with a file of weights.
    Raises UserError naming the file or folder that cannot be used.
    """
    folder = Path(folder)
    weights = None if inception_weights is None else str(inception_weights)
    files = sorted(folder.rglob("*.png"))
    if len(files) < 2:
        raise UserError(f"{folder}: {len(files)} PNG files; distances take at least 2")
    settings = Evaluation.model_validate(
        {
            "images": len(files),
            "feature_network": network,
            "inception_weights": weights,
            "other_category": None,
            "kernel_subset_size": max(2, min(SUBSET, len(files))),
            "kernel_subsets": SUBSETS,
            "reference_frames": ALL,
        }
    )
    with tempfile.TemporaryDirectory() as cache:
        scorer = Scorer.open(Path(data), settings, Redraws(REPLICATES, 0), Path(cache), device)
        images = np.stack([read_picture(path, scorer.data.image_size) for path in files])
        scenes = [path if path.parent == folder else path.parent for path in files]
        units = np.unique([str(scene) for scene in scenes], return_inverse=True)[1]
        return scorer.score(Scored(Pictures(images, units)), folder.name)["entries"]


def read_picture(path: Path, size: int) -> np.ndarray:
    """An RGB picture (size, size, 3), uint8. Raises UserError naming the file if it is none, or of another size."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{path}: not an image that can be read ({error})") from None
    if pixels.shape[:2] != (size, size):
        raise UserError(f"{path}: {pixels.shape[1]} x {pixels.shape[0]} px, the data is {size} x {size}")
    return pixels
