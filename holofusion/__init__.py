"""HoloFusion and its baselines in Python: load a trained run, sample scenes, look at them, score pictures.

>>> import holofusion
>>> run = holofusion.load("hydrant")  # a model that ships, or a folder results/runs/RUN
>>> scene = run.sample(seed=7)
>>> views = scene.render(holofusion.turntable(count=8, elevation=20.0, distance=4.0, focal=3.0), size=128)
>>> scene.surface(resolution=128).export("hydrant.glb")

The rest of the package is the pipeline's. Nothing heavy is loaded before a call needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from holofusion.cameras import Cameras
    from holofusion.evaluation.entries import Entry
    from holofusion.methods.trained import TrainedRun
    from holofusion.scenes.base import Scene

__all__ = ["load", "load_scene", "score", "turntable"]


def load(folder: Path | str, device: torch.device | str = "cpu") -> TrainedRun:
    """A trained run, from its folder results/runs/RUN or a copy of it. `.sample(seed)` makes scenes.

    Raises UserError naming the file where the folder holds no finished training.
    """
    from holofusion.methods.trained import TrainedRun

    return TrainedRun(folder, device)


def load_scene(folder: Path | str, device: torch.device | str = "cpu") -> Scene:
    """A scene that `scene.save(folder)`, or the pipeline, has written. Raises UserError naming the file that is wrong."""
    from holofusion.scenes.files import load_scene as read

    return read(folder, device)[0]


def turntable(count: int, elevation: float, distance: float, focal: float) -> Cameras:
    """`count` cameras on a circle around the object, all looking at it, in equal steps of azimuth.

    elevation: degrees above the horizon. distance: from the origin, world units; an object lies within [-1, 1]^3. focal:
    focal length in units of half the image's side.
    """
    from holofusion.cameras import turntable as circle

    return circle(count, elevation, distance, focal)


def score(
    pictures: Path | str,
    data: Path | str,
    network: str = "efficientnet_lite0",
    inception_weights: Path | str | None = None,
    device: torch.device | str = "cpu",
) -> list[Entry]:
    """Scores of the PNG files below the folder `pictures` against prepared data, results/data/CATEGORY.

    Each entry names its metric, reference, value, 95 % interval and numbers of images. Pictures in one subfolder are views of
    one scene. network: the feature network, part of the metrics' names; `inception` takes a file of weights.
    Raises UserError naming the file or folder that cannot be used, or the extra that is missing.
    """
    from holofusion.utils.extras import optional

    with optional():
        from holofusion.evaluation.pictures import score_folder

    return score_folder(pictures, data, network, inception_weights, device)
