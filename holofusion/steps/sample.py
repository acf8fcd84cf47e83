"""From trained models to scenes, in shards.

One seed gives one scene, whatever the shard: every scene is made on its own, from generators named by its seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from holofusion.config.row_steps import SampleSettings
from holofusion.methods.files import load_method
from holofusion.methods.fusing import fusing
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.superresolution import SuperResolvedScene
from holofusion.pipeline.job import Job
from holofusion.pipeline.paths import scene_name
from holofusion.pipeline.registry import ROWS, Source
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.scenes.files import load_scene
from holofusion.training.checkpoint import stamp_of
from holofusion.utils.files import UserError, replacing, sha256_of
from holofusion.utils.locks import finished_parts
from holofusion.utils.progress import Progress


def shard_seeds(scenes: int, shards: int, shard: int) -> list[int]:
    """The sample seeds of one shard: contiguous, all shards together 0 .. scenes - 1. Raises UserError without it."""
    if shard >= shards:
        raise UserError(f"--shard {shard}: there are {shards}, counted from 0")
    return list(range(scenes))[shard * scenes // shards : (shard + 1) * scenes // shards]


def run(job: Job[SampleSettings]) -> None:
    """Write one shard of scenes, <seed>/scene.{safetensors,json}, to `job.out`."""
    sampling, resolved = job.settings.sampling, job.resolved
    inputs = [job.path("model") / "model.safetensors"]
    for folder in (job.inputs.get("coarse"), job.inputs.get("hypotheses")):
        inputs += sorted(folder.glob("*/*")) if folder else []
    with finished_parts(job.out, stamp_of(resolved.hash, sha256_of(*inputs))) as (partial, stamp):
        make = scene_maker(job, partial, stamp)
        seeds = shard_seeds(sampling.scenes, sampling.shards, job.shard)
        progress = Progress(f"sample {resolved.method}", len(seeds))
        for seed in seeds:
            folder = partial / scene_name(seed)
            if not folder.exists():
                began = time.monotonic()
                scene = make(seed)
                facts = {"method": resolved.method, "seed": seed, "config_hash": resolved.hash}
                with replacing(folder) as temporary:
                    scene.save(temporary, **facts, seconds=round(time.monotonic() - began, 2))
            progress.advance()


def scene_maker(job: Job[SampleSettings], partial: Path, stamp: str) -> Callable[[int], Scene]:
    """A function seed -> scene of the row, by what its scenes are made from.

    An unfinished distillation is kept in the folder `partial`. Raises UserError where an input is not given.
    """
    method, source = load_method(job.path("model"), job.device, dict(job.settings)), ROWS[job.run.method].source
    if source == Source.NOISE:
        return lambda seed: method.sample(SampleRequest(seed))
    coarse, fuses = job.path("coarse"), fusing(method)

    def superresolved(seed: int) -> SuperResolvedScene:
        return fuses.superresolve(load_scene(coarse / scene_name(seed), job.device)[0], seed)

    if source == Source.COARSE:
        return superresolved
    hypotheses = job.path("hypotheses")

    def fused(seed: int) -> Scene:
        bank = HypothesisBank.load(hypotheses / scene_name(seed))
        return fuses.fuse(superresolved(seed), bank, partial / f"state-{scene_name(seed)}", stamp)

    return fused
