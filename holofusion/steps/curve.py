"""Kernel distance against training time: a few scenes of every weights kept during a training, scored like any row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from holofusion.config.steps import CurveSettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.fidelity import compare
from holofusion.evaluation.references import Pictures
from holofusion.evaluation.score import Scorer
from holofusion.pipeline.job import Job
from holofusion.steps.sample import sampler_from_noise, to_bytes
from holofusion.training.checkpoint import read_snapshots
from holofusion.utils.files import read_json, write_json
from holofusion.utils.progress import say


def run_curve(resolved, data_folder: Path, model: Path, out: Path, device: torch.device) -> None:
    """Score `curve.scenes` scenes, seen from `curve.views` cameras each, of every snapshot and of the finished weights.

    All points share sample seeds and cameras. Writes `out`: steps, seconds of training and images seen so far (without the
    warm-up's), and the kernel distance to the training objects with its interval. A run without snapshots has one point.
    """
    section, evaluation = resolved.settings.curve, resolved.settings.evaluation
    redraws = Redraws(resolved.settings.intervals.replicates, resolved.seed)
    scorer = Scorer.open(data_folder, evaluation, redraws, out.parent, device)
    data, real = scorer.data, scorer.reference("train")
    last, facts = load_file(model / "model.safetensors"), read_json(model / "model.json")
    units = np.repeat(np.arange(section.scenes), section.views)

    def pictures(weights: dict[str, torch.Tensor]) -> list[np.ndarray]:
        images = []
        make = sampler_from_noise(resolved.method, weights, resolved.settings, device)
        for seed in range(section.scenes):
            rows = torch.arange(seed * section.views, (seed + 1) * section.views) % len(data.evaluation_cameras)
            images += list(to_bytes(make(seed).render(data.evaluation_cameras[rows].to(device), data.image_size).rgb))
        return images

    points = []
    for step, seconds, file in [*read_snapshots(model / "snapshots"), (facts["steps"], facts["seconds"], None)]:
        weights = last | load_file(file) if file else last
        label = f"curve {resolved.method}, {step} steps"
        generated = scorer.features(Pictures(np.stack(pictures(weights)), units), label)
        entry = compare(real, generated, "train", evaluation, redraws)[1]
        points.append(
            {
                "steps": step,
                "seconds": round(seconds, 1),
                "images": facts["images"] * step // max(1, facts["steps"]),
                **{key: entry[key] for key in ("metric", "value", "low", "high", "n_real", "n_generated")},
            }
        )
        say(f"{label}: {entry['metric']} {entry['value']:.5g}")
    write_json(
        out,
        {
            "method": resolved.method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "points": points,
        },
    )


def run(job: Job[CurveSettings]) -> None:
    """Write the kernel distance of each point of the training `--model` to the JSON file `job.out`."""
    run_curve(job.resolved, job.path("data"), job.path("model"), job.out, job.device)
