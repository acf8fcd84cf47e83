"""Hypotheses of coarse scenes: views of each, super-resolved several times."""

from __future__ import annotations

import time

from holofusion.config.steps import HypothesesSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.files import load_method
from holofusion.methods.fusing import fusing
from holofusion.pipeline.job import Job
from holofusion.pipeline.paths import scene_name
from holofusion.scenes.files import load_scene
from holofusion.steps.sample import shard_seeds
from holofusion.training.checkpoint import stamp_of
from holofusion.utils.files import replacing, sha256_of
from holofusion.utils.locks import finished_parts
from holofusion.utils.progress import Progress


def run(job: Job[HypothesesSettings]) -> None:
    """Super-resolve each coarse scene of a shard from many cameras, several times: <seed>/{bank.npy,cameras.json}."""
    section, sampling, data = job.settings.hypotheses, job.settings.sampling, PreparedCategory.load(job.path("data"))
    model, coarse, resolved = job.path("model"), job.path("coarse"), job.resolved
    method = fusing(load_method(model, job.device, dict(job.settings)))
    seeds = shard_seeds(sampling.scenes, sampling.shards, job.shard)
    progress = Progress("hypotheses", len(seeds) * section.views)
    inputs = [model / "model.safetensors", *sorted(coarse.glob("*/*")), data.folder / "evaluation_cameras.json"]
    with finished_parts(job.out, stamp_of(resolved.hash, sha256_of(*inputs))) as (partial, _):
        for seed in seeds:
            if (partial / scene_name(seed)).exists():
                progress.advance(steps=section.views)
                continue
            began = time.monotonic()
            scene = method.superresolve(load_scene(coarse / scene_name(seed), job.device)[0], seed)
            bank = method.draw_hypotheses(scene, data.evaluation_cameras, data.image_size, progress.advance)
            with replacing(partial / scene_name(seed)) as folder:
                bank.save(folder, config_hash=resolved.hash, seconds=round(time.monotonic() - began, 2))
