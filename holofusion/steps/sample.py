"""From trained models to scenes and hypothesis banks: the pipeline's test-time steps, in shards.

One seed gives one scene, whatever the shard: every scene is made on its own, from generators named by its seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from holofusion.cameras import CONVENTION, Cameras, cameras_from_json, cameras_to_json
from holofusion.config.steps import SampleSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.distillation import distil
from holofusion.methods.holodiffusion import HoloDiffusion
from holofusion.methods.superresolution import SuperResolution
from holofusion.pipeline.job import Job
from holofusion.pipeline.paths import scene_name
from holofusion.pipeline.registry import ROWS, Source, method_class, needs_warmup
from holofusion.scenes.voxel import DenseScene, SuperResolvedScene, load_scene, save_scene, unprefixed
from holofusion.training.checkpoint import stamp_of
from holofusion.utils.files import UserError, read_json, replacing, sha256_of, write_json
from holofusion.utils.locks import finished_parts
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for


def shard_seeds(scenes: int, shards: int, shard: int) -> list[int]:
    """The sample seeds of one shard: contiguous, all shards together 0 .. scenes - 1. Raises UserError without it."""
    if shard >= shards:
        raise UserError(f"--shard {shard}: there are {shards}, counted from 0")
    return list(range(scenes))[shard * scenes // shards : (shard + 1) * scenes // shards]


def sampler_from_noise(name: str, weights: dict[str, Tensor], settings, device: torch.device):
    """A function seed -> scene of a row that is sampled with the weights alone."""
    if not needs_warmup(name):
        method = method_class(name)(settings)
        method.load_state_dict(weights)
        return method.to(device).eval().sample
    coarse = HoloDiffusion(settings)
    coarse.load_state_dict(unprefixed("coarse", weights))
    coarse.to(device).eval()

    def make(seed: int) -> DenseScene:
        grid = coarse.sample_grid(seed, settings.sampling.steps, settings.sampling.sampler)
        return DenseScene(grid, coarse.decoder, settings)

    return make


def sample_super_resolved(model: Path, coarse: Path, settings, device: torch.device):
    """A function seed -> SuperResolvedScene: the coarse scene of that seed with the trained super-resolution."""
    network = SuperResolution(settings)
    network.load_state_dict(unprefixed("superresolution", load_file(model / "model.safetensors")))
    network.to(device).eval()

    def make(seed: int) -> SuperResolvedScene:
        return SuperResolvedScene(load_scene(coarse / scene_name(seed), device)[0], network, seed, settings)

    return make


def sample_distilled(
    model: Path, coarse: Path, hypotheses: Path, settings, device: torch.device, partial: Path, stamp: str
):
    """A function seed -> SparseScene: the coarse scene of that seed, fused with its bank of hypotheses.

    An unfinished scene's optimisation is kept in `partial`.
    """
    super_resolved = sample_super_resolved(model, coarse, settings, device)

    def make(seed: int):
        folder = hypotheses / scene_name(seed)
        bank = from_bytes(np.load(folder / "bank.npy"))
        cameras = cameras_from_json(read_json(folder / "cameras.json")["cameras"])
        state = partial / f"state-{scene_name(seed)}"
        return distil(super_resolved(seed), cameras.to(device), bank.to(device), settings, seed, state, stamp)

    return make


def run_sample(
    resolved, model: Path, coarse: Path | None, hypotheses: Path | None, shard: int, out: Path, device: torch.device
) -> None:
    """Write one shard of scenes, out/<seed>/scene.{safetensors,json}. Folders: the trained run, and this shard's inputs."""
    settings, source = resolved.settings, ROWS[resolved.method].source
    inputs = [model / "model.safetensors"]
    inputs += [path for folder in (coarse, hypotheses) if folder for path in sorted(folder.glob("*/*"))]
    with finished_parts(out, stamp_of(resolved.hash, sha256_of(*inputs))) as (partial, stamp):
        if source == Source.HYPOTHESES:
            coarse, hypotheses = _needed(coarse, "coarse"), _needed(hypotheses, "hypotheses")
            make = sample_distilled(model, coarse, hypotheses, settings, device, partial, stamp)
        elif source == Source.COARSE:
            make = sample_super_resolved(model, _needed(coarse, "coarse"), settings, device)
        else:
            make = sampler_from_noise(resolved.method, load_file(model / "model.safetensors"), settings, device)
        seeds = shard_seeds(settings.sampling.scenes, settings.sampling.shards, shard)
        progress = Progress(f"sample {resolved.method}", len(seeds))
        for seed in seeds:
            folder = partial / scene_name(seed)
            if not folder.exists():
                began = time.monotonic()
                scene = make(seed)
                with replacing(folder) as temporary:
                    temporary.mkdir()
                    save_scene(
                        scene,
                        temporary,
                        {
                            "method": resolved.method,
                            "seed": seed,
                            "config_hash": resolved.hash,
                            "seconds": round(time.monotonic() - began, 2),
                        },
                    )
            progress.advance()


def _needed(folder: Path | None, option: str) -> Path:
    if folder is None:
        raise UserError(f"--{option}: this method is sampled from another step's output; name its shard folder")
    return folder


def run_hypotheses(
    resolved, data_folder: Path, model: Path, coarse: Path, shard: int, out: Path, device: torch.device
) -> None:
    """Super-resolve each coarse scene of a shard from many cameras, several times: out/<seed>/{bank.npy,cameras.json}.

    bank.npy is uint8 (views, count, S, S, 3).
    """
    settings, data = resolved.settings, PreparedCategory.load(data_folder)
    make = sample_super_resolved(model, coarse, settings, device)
    seeds = shard_seeds(settings.sampling.scenes, settings.sampling.shards, shard)
    progress = Progress("hypotheses", len(seeds) * settings.hypotheses.views)
    inputs = [model / "model.safetensors", *sorted(coarse.glob("*/*")), data_folder / "evaluation_cameras.json"]
    with finished_parts(out, stamp_of(resolved.hash, sha256_of(*inputs))) as (partial, _):
        for seed in seeds:
            if (partial / scene_name(seed)).exists():
                progress.advance(steps=settings.hypotheses.views)
                continue
            began = time.monotonic()
            cameras, bank = hypotheses_of(make(seed), data, settings.hypotheses, seed, device, progress.advance)
            with replacing(partial / scene_name(seed)) as folder:
                folder.mkdir()
                np.save(folder / "bank.npy", bank)
                write_json(
                    folder / "cameras.json",
                    {
                        "convention": CONVENTION,
                        "image_size": data.image_size,
                        "config_hash": resolved.hash,
                        "seconds": round(time.monotonic() - began, 2),
                        "cameras": cameras_to_json(cameras),
                    },
                )


def hypotheses_of(
    scene: SuperResolvedScene,
    data: PreparedCategory,
    section,
    seed: int,
    device: torch.device,
    advance: Callable[[], None],
) -> tuple[Cameras, np.ndarray]:
    """The cameras of a scene's bank and the bank, uint8 (views, count, S, S, 3). section: `hypotheses` of the settings."""
    cameras = spread_cameras(data.evaluation_cameras, section.views, generator_for("cameras", seed))
    bank = []
    for index in range(len(cameras)):
        generator = generator_for("hypotheses", seed, index)
        bank.append(to_bytes(scene.hypotheses(cameras[index].to(device), data.image_size, section.count, generator)))
        advance()
    return cameras, np.stack(bank)


def spread_cameras(pool: Cameras, count: int, generator: torch.Generator) -> Cameras:
    """`count` cameras of the pool that go round the object evenly: every eighth of a random draw sorted by azimuth."""
    drawn = pool[torch.randperm(len(pool), generator=generator)[: 8 * count]]
    centres = drawn.centers()
    order = torch.argsort(torch.atan2(centres[:, 0], centres[:, 2]))
    return drawn[order[torch.linspace(0, len(order) - 1, 2 * count + 1).round().long()[1::2]]]


def to_bytes(images: Tensor) -> np.ndarray:
    """(B, 3, S, S) in [0, 1] -> uint8 (B, S, S, 3)."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def from_bytes(images: np.ndarray) -> Tensor:
    """uint8 (..., S, S, 3) -> (..., 3, S, S) in [0, 1]."""
    return torch.from_numpy(images).movedim(-1, -3).float() / 255


def run(job: Job[SampleSettings]) -> None:
    """Write one shard of scenes to the folder `job.out`."""
    given = job.inputs
    run_sample(
        job.resolved, job.path("model"), given.get("coarse"), given.get("hypotheses"), job.shard, job.out, job.device
    )
