"""Kernel distance against training time: a few scenes of every weights kept during a training, scored like any row."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file

from holofusion.config.steps import CurveSettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.fidelity import compare
from holofusion.evaluation.references import Pictures
from holofusion.evaluation.score import Scorer
from holofusion.methods.files import load_method, load_weights
from holofusion.pipeline.job import Job
from holofusion.rendering.images import to_bytes
from holofusion.scenes.base import SampleRequest
from holofusion.training.checkpoint import read_snapshots
from holofusion.utils.files import read_json, reading, write_json
from holofusion.utils.progress import say


def run(job: Job[CurveSettings]) -> None:
    """Score `curve.scenes` scenes, seen from `curve.views` cameras each, of every snapshot and of the finished weights.

    All points share sample seeds and cameras. Writes the JSON file `job.out`: steps, seconds of training and images seen so
    far (without the warm-up's), and the kernel distance to the training objects with its interval. A run without snapshots
    has one point.
    """
    settings, resolved, model = job.settings, job.resolved, job.path("model")
    section, evaluation = settings.curve, settings.evaluation
    redraws = Redraws(settings.intervals.replicates, resolved.seed)
    scorer = Scorer.open(job.path("data"), evaluation, redraws, job.out.parent, job.device)
    data, real = scorer.data, scorer.reference("train")
    last = load_weights(model)
    with reading(model / "model.json"):
        facts = read_json(model / "model.json")
        finished = int(facts["steps"]), float(facts["seconds"]), None
    units = np.repeat(np.arange(section.scenes), section.views)

    def pictures(weights: dict[str, torch.Tensor]) -> list[np.ndarray]:
        images = []
        method = load_method(model, job.device, dict(settings), weights)
        for seed in range(section.scenes):
            rows = torch.arange(seed * section.views, (seed + 1) * section.views) % len(data.evaluation_cameras)
            scene = method.sample(SampleRequest(seed))
            images += list(to_bytes(scene.render(data.evaluation_cameras[rows].to(job.device), data.image_size).rgb))
        return images

    points = []
    for step, seconds, file in [*read_snapshots(model / "snapshots"), finished]:
        with reading(file or model, "train again"):
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
        job.out,
        {
            "method": resolved.method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "points": points,
        },
    )
