"""From noise to a finished scene: fast distillation over the full recipe, and what the pictures of both are worth."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.context import DEVICE, Context
from benchmarks.timing import summary
from holofusion.checks import with_overrides
from holofusion.evaluation import features as networks
from holofusion.evaluation.consistency import held_out_scores
from holofusion.evaluation.fidelity import compare
from holofusion.evaluation.references import ImageSet, reference_set
from holofusion.logs import Progress
from holofusion.methods.distillation import distil
from holofusion.methods.holodiffusion import HoloDiffusion
from holofusion.methods.sampling import spread_cameras, to_bytes
from holofusion.methods.scenes import DenseScene, SparseScene, SuperResolvedScene, unprefixed
from holofusion.methods.superresolution import SuperResolution
from holofusion.seeds import generator_for
from holofusion.settings import Params, Settings

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
        "sample_time_ratio": summary(ratios) | {
            "seconds": [float(np.median(seconds[mode])) for mode in ("fast", "full")],
            "scenes": SCENES, "pictures": SCENES * VIEWS, **worth,
            "kernel_distance_difference": difference(worth),
        }
    }  # fmt: skip


def settings_of(params: Params, mode: str) -> Settings:
    """What a row of HoloFusion is sampled with in this mode."""
    distillation = params.distillation.model_copy(update={"mode": mode})
    content = with_overrides(params.model_copy(update={"distillation": distillation}), "holofusion")
    return Settings.model_validate({name: content[name] for name in (
        "volume", "rendering", "denoiser", "superresolution", "sampling", "sharpening", "hypotheses", "distillation",
    )})  # fmt: skip


class Maker:
    """Makes the scene of a seed as the steps `sample` and `hypotheses` do, without files in between."""

    def __init__(self, context: Context, settings: Settings) -> None:
        weights = load_file(context.run / "model.safetensors")
        self.settings, self.data = settings, context.data
        self.coarse, self.network = HoloDiffusion(settings), SuperResolution(settings)
        self.coarse.load_state_dict(unprefixed("coarse", weights))
        self.network.load_state_dict(unprefixed("superresolution", weights))

    def __call__(self, seed: int) -> SparseScene:
        settings = self.settings
        grid = self.coarse.sample_grid(seed, settings.sampling.steps, settings.sampling.sampler)
        scene = SuperResolvedScene(DenseScene(grid, self.coarse.decoder, settings), self.network, seed, settings)
        cameras = spread_cameras(
            self.data.evaluation_cameras, settings.hypotheses.views, generator_for("cameras", seed)
        )
        bank = torch.stack([
            scene.hypotheses(
                cameras[index], self.data.image_size, settings.hypotheses.count, generator_for("hypotheses", seed, index)
            )
            for index in range(len(cameras))
        ])  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            return distil(scene, cameras.to(DEVICE), bank, settings, seed, Path(folder) / "state", "")


def scores(context: Context, scenes: list[SparseScene]) -> dict[str, Any]:
    """Kernel distance to the training objects' images with its replicates, and how well views agree, in dB."""
    params, data = context.params, context.data
    resolved = SimpleNamespace(settings=params, seed=context.seed)
    network = networks.load_network(params.evaluation.feature_network, params.evaluation.inception_weights, DEVICE)
    real = reference_set(data, "train", params.evaluation, network, context.results / "metrics" / "features")
    cameras = data.evaluation_cameras[: VIEWS * len(scenes)]
    pictures = np.concatenate([
        to_bytes(scene.render(cameras[number * VIEWS : (number + 1) * VIEWS], data.image_size).rgb)
        for number, scene in enumerate(scenes)
    ])  # fmt: skip
    found = networks.extract(network, pictures, len(pictures), "features").double()
    made = ImageSet(found, np.arange(len(scenes)).repeat(VIEWS))
    _, kernel = compare(real, made, "train", resolved)
    agreement = []
    for number, scene in enumerate(scenes[:AGREEING]):
        around = spread_cameras(data.evaluation_cameras, AROUND, generator_for("consistency cameras", number))
        views = torch.from_numpy(to_bytes(scene.render(around, data.image_size).rgb)).permute(0, 3, 1, 2).float() / 255
        agreement.append(held_out_scores(views, around, params.consistency, number)["consistency_psnr"])
    return {
        "kernel_distance": kernel["value"], "kernel_distance_interval": [kernel["low"], kernel["high"]],
        "kernel_distance_replicates": kernel["replicates"], "consistency_psnr": float(np.mean(agreement)),
    }  # fmt: skip


def difference(worth: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Kernel distance of fast less that of full, with its 95 % interval over redraws of objects and scenes."""
    replicates = [np.array(worth[mode].pop("kernel_distance_replicates")) for mode in ("fast", "full")]
    low, high = np.quantile(replicates[0] - replicates[1], [0.025, 0.975])
    value = worth["fast"]["kernel_distance"] - worth["full"]["kernel_distance"]
    return {"value": float(value), "low": float(low), "high": float(high)}
