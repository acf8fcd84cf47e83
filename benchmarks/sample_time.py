"""From noise to a finished scene: fast distillation over the full recipe, and what the pictures of both are worth."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from benchmarks.context import DEVICE, Context
from benchmarks.timing import rounded, summary
from holofusion.config.params import Params, Settings
from holofusion.evaluation import features as networks
from holofusion.evaluation.bootstrap import Redraws, interval
from holofusion.evaluation.consistency import held_out_scores
from holofusion.evaluation.fidelity import draws_of, kernel_distance
from holofusion.evaluation.kernel import kernel_replicates
from holofusion.evaluation.references import ImageSet, reference_set
from holofusion.methods.distillation import distil
from holofusion.methods.superresolution import SuperResolution
from holofusion.pipeline.resolve import settings_for
from holofusion.scenes.voxel import SparseScene, SuperResolvedScene, unprefixed
from holofusion.steps.sample import from_bytes, hypotheses_of, sampler_from_noise, spread_cameras, to_bytes
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for

MODES = ("full", "fast")
SCENES, VIEWS = 4, 32  # scenes made in both modes, and pictures of each that are scored
AGREEING, AROUND = 4, 32  # scenes whose views are scored for agreement, and views of each


def measure(context: Context) -> dict[str, Any]:
    """Seconds per scene of the fast path over those of the full recipe, scene by scene in turn; distances of both."""
    makers = {mode: Maker(context, settings_of(context.params, mode)) for mode in MODES}
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    scenes: dict[str, list[SparseScene]] = {mode: [] for mode in MODES}
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


def settings_of(params: Params, mode: str) -> Settings:
    """What a row of HoloFusion is sampled with in this mode."""
    distillation = params.distillation.model_copy(update={"mode": mode})
    content = settings_for(params.model_copy(update={"distillation": distillation}), "holofusion")
    return Settings.model_validate(
        {
            name: content[name]
            for name in (
                "volume",
                "rendering",
                "denoiser",
                "superresolution",
                "sampling",
                "superresolution_sampling",
                "hypotheses",
                "distillation",
            )
        }
    )


class Maker:
    """Makes the scene of a seed as the steps `sample` and `hypotheses` do, without files in between."""

    def __init__(self, context: Context, settings: Settings) -> None:
        weights = load_file(context.run / "model.safetensors")
        self.settings, self.data, self.network = settings, context.data, SuperResolution(settings)
        self.coarse = sampler_from_noise("holodiffusion", weights, settings, DEVICE)
        self.network.load_state_dict(unprefixed("superresolution", weights))

    def __call__(self, seed: int) -> SparseScene:
        settings = self.settings
        scene = SuperResolvedScene(self.coarse(seed), self.network, seed, settings)
        cameras, bank = hypotheses_of(scene, self.data, settings.hypotheses, seed, DEVICE, lambda: None)
        with tempfile.TemporaryDirectory() as folder:
            return distil(scene, cameras, from_bytes(bank), settings, seed, Path(folder) / "state", "")


def scores(context: Context, scenes: list[SparseScene]) -> dict[str, Any]:
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
