"""From noise to a finished scene: fast distillation over the full recipe, and what the pictures of both are worth."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.context import DEVICE, Context
from benchmarks.timing import rounded, summary
from holofusion.cameras.spread import spread_cameras
from holofusion.config.params import Params
from holofusion.config.section import Section
from holofusion.evaluation import features as networks
from holofusion.evaluation.bootstrap import Redraws, interval
from holofusion.evaluation.consistency import held_out_scores
from holofusion.evaluation.fidelity import draws_of, kernel_distance
from holofusion.evaluation.kernel import kernel_replicates
from holofusion.evaluation.references import ImageSet, reference_set
from holofusion.methods.files import load_method, read_sections
from holofusion.methods.fusing import fusing
from holofusion.pipeline.resolve import settings_for
from holofusion.rendering.images import from_bytes, to_bytes
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for

MODES = ("full", "fast")
SECTIONS = ("sampling", "superresolution_sampling", "hypotheses", "distillation")
SCENES, VIEWS = 4, 32  # scenes made in both modes, and pictures of each that are scored
AGREEING, AROUND = 4, 32  # scenes whose views are scored for agreement, and views of each


def measure(context: Context) -> dict[str, Any]:
    """Seconds per scene of the fast path over those of the full recipe, scene by scene in turn; distances of both."""
    makers = {mode: Maker(context, sections_for(context.params, mode)) for mode in MODES}
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    scenes: dict[str, list[Scene]] = {mode: [] for mode in MODES}
    progress = Progress("sample time", SCENES)
    makers["fast"](SCENES)  # the first scene pays for what is set up once; next to a full one that is nothing
    for seed in range(SCENES):
        for mode in MODES:
            began = time.perf_counter()
            scenes[mode].append(makers[mode](seed))
            seconds[mode].append(time.perf_counter() - began)
        progress.advance()
    ratios = [fast / full for fast, full in zip(seconds["fast"], seconds["full"], strict=True)]
    worth = {mode: scores(context, scenes[mode]) for mode in MODES}
    return {
        "sample_time_ratio": summary(ratios)
        | {
            "seconds": [rounded(float(np.median(seconds[mode]))) for mode in ("fast", "full")],
            "scenes": SCENES,
            "pictures": SCENES * VIEWS,
            **worth,
            "kernel_distance_difference": difference(worth),
        }
    }


def sections_for(params: Params, mode: str) -> dict[str, Section]:
    """What the scenes of the row `holofusion` are made with in this mode."""
    content = settings_for(params, "holofusion", mode)
    return read_sections(Path("params.yaml"), {name: content[name] for name in SECTIONS})


class Maker:
    """Makes the scene of a seed as the steps `sample` and `hypotheses` do, without files in between."""

    def __init__(self, context: Context, sections: dict[str, Section]) -> None:
        self.data = context.data
        self.method = load_method(context.run, DEVICE, sections)

    def __call__(self, seed: int) -> Scene:
        fuses = fusing(self.method)
        scene = fuses.superresolve(self.method.sample(SampleRequest(seed)), seed)
        bank = fuses.draw_hypotheses(scene, self.data.evaluation_cameras, self.data.image_size)
        with tempfile.TemporaryDirectory() as folder:
            return fuses.fuse(scene, bank, Path(folder) / "state")


def scores(context: Context, scenes: list[Scene]) -> dict[str, Any]:
    """Kernel distance to the training objects' images with its replicates, and how well views agree, in dB."""
    params, data = context.params, context.data
    redraws = Redraws(params.intervals.replicates, context.seed)
    network = networks.load_network(params.evaluation.feature_network, params.evaluation.inception_weights, DEVICE)
    real = reference_set(data, "train", params.evaluation, network, context.results / "metrics" / "features")
    cameras = data.evaluation_cameras[: VIEWS * len(scenes)]
    pictures = np.concatenate(
        [
            to_bytes(scene.render(cameras[number * VIEWS : (number + 1) * VIEWS], data.image_size).rgb)
            for number, scene in enumerate(scenes)
        ]
    )
    found = networks.extract(network, pictures, len(pictures), "features").double()
    made = ImageSet(found, np.arange(len(scenes)).repeat(VIEWS))
    draws = draws_of(real, made, "train", redraws)
    size = min(params.evaluation.kernel_subset_size, len(real), len(made))
    agreement = []
    for number, scene in enumerate(scenes[:AGREEING]):
        around = spread_cameras(data.evaluation_cameras, AROUND, generator_for("consistency cameras", number))
        views = from_bytes(to_bytes(scene.render(around, data.image_size).rgb))
        agreement.append(held_out_scores(views, around, params.consistency, number)["consistency_psnr"])
    return {
        "kernel_distance": kernel_distance(real.features, found, size, params.evaluation.kernel_subsets),
        "kernel_distance_replicates": kernel_replicates(
            real.features.numpy(), found.numpy(), real.units, made.units, *draws
        ),
        "consistency_psnr": float(np.mean(agreement)),
    }


def difference(worth: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Kernel distance of fast less that of full, with its 95 % interval over the same redraws of objects and scenes."""
    fast, full = (worth[mode].pop("kernel_distance_replicates") for mode in ("fast", "full"))
    value = worth["fast"]["kernel_distance"] - worth["full"]["kernel_distance"]
    low, high = interval(value, None if fast is None else fast - full, SCENES)
    return {"value": value, "low": low, "high": high}
