"""The ladder of one training: what each stage's pictures score, from photographs to fused samples, and denoisers' errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from holofusion.cameras import Cameras
from holofusion.config.steps import LadderSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.denoising import DenoiserErrors, denoising_errors
from holofusion.evaluation.entries import facts_of
from holofusion.evaluation.ladder import (
    PHOTOGRAPHS,
    RungPictures,
    entry_of,
    loses_most,
    losses_of,
    photograph_rungs,
    score_rung,
    strip_of,
)
from holofusion.evaluation.references import Pictures, evenly, reference_rows
from holofusion.evaluation.score import Scorer
from holofusion.methods.code_fusion import CodeFusion
from holofusion.methods.code_scenes import plain_scene
from holofusion.methods.files import load_method, load_weights
from holofusion.pipeline.job import Job
from holofusion.reconstruction.objects import read_grids
from holofusion.rendering.images import to_bytes
from holofusion.scenes.base import Scene
from holofusion.scenes.files import load_scene
from holofusion.utils.files import UserError, replacing, write_json
from holofusion.utils.progress import say

NOISE_LEVELS = (0.98, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)  # shares of the time steps


def run(job: Job[LadderSettings]) -> None:
    """Score every rung, and write the JSON file `job.out`, and strips of pictures to a folder beside it.

    Training objects are seen from the cameras of their own photographs, which are the truth; samples from the frozen ones.
    """
    settings, resolved, results = job.settings, job.resolved, job.out.parent.parent
    scorer = Scorer.open(
        job.path("data"),
        settings.evaluation,
        Redraws(settings.intervals.replicates, resolved.seed),
        job.out.parent,
        job.device,
    )
    method = load_method(job.path("model"), job.device, dict(settings))
    if not isinstance(method, CodeFusion):
        raise UserError(f"{job.path('model')}: not a training over codes; only these have a ladder")
    rungs, strips = [], job.out.with_suffix("")
    strips.mkdir(parents=True, exist_ok=True)
    for pictures in rungs_of(job, scorer.data, method):
        rung = score_rung(pictures, scorer)
        path = strips / f"{pictures.name}.png"
        with replacing(path) as temporary:
            strip_of(pictures.pictures.images).save(temporary, format="png")
        rungs.append(rung | {"strip": path.relative_to(results).as_posix()})
        kernel = entry_of(rung, "kernel")
        if kernel is not None:
            say(f"ladder {pictures.name}: kernel distance x 1000 {1000 * kernel['value']:.1f}")
    losses = losses_of(rungs)
    content = {
        **facts_of(resolved, job.run.method),
        "run": job.run.name,
        "feature_network": settings.evaluation.feature_network,
        "rungs": rungs,
        "losses": losses,
        "loses_most": loses_most(rungs, losses),
        "denoisers": errors_of(method, load_weights(job.path("codes"), job.device)["held_out"].float()),
    }
    write_json(job.out, content)


def rungs_of(job: Job[LadderSettings], data: PreparedCategory, method: CodeFusion) -> Iterator[RungPictures]:
    """Pictures of every rung, in order."""
    section = job.settings.ladder
    rows, units = reference_rows(data, data.held_out, section.views)
    yield from photograph_rungs(Pictures(data.images[rows], units))
    numbers = evenly(len(data.train), section.objects)
    names = [data.train[number] for number in numbers]
    frames = [[data.frames[name][place] for place in evenly(len(data.frames[name]), section.views)] for name in names]
    truth = data.images[np.concatenate(frames)]
    cameras = [data.cameras[torch.tensor(chosen)] for chosen in frames]
    codes = load_weights(job.path("codes"), job.device)["codes"]

    def objects(name: str, label: str, after: str, scenes: Iterator[Scene]) -> RungPictures:
        return RungPictures(name, label, "reconstructions", _seen(scenes, cameras, data.image_size), after, truth)

    grids = [grid[None].float() for grid in read_grids(job.path("reconstructions"), names)]
    plain = [plain_scene(grid.to(job.device), method.reconstruction) for grid in grids]
    yield objects("grids", "grids of training objects", PHOTOGRAPHS, iter(plain))
    coded = [
        plain_scene(method.space.decoder(codes[number][None].float()).detach(), method.reconstruction)
        for number in numbers
    ]
    yield objects("coded", "... as codes", "grids", iter(coded))
    yield objects(
        "coded_superresolved",
        "... super-resolved",
        "coded",
        (method.superresolve(scene, place) for place, scene in enumerate(coded)),
    )
    yield objects(
        "coded_fused",
        "... and fused",
        "coded_superresolved",
        (_fused(method, scene, place, data) for place, scene in enumerate(coded)),
    )
    drawn, fused = (_scenes(job.path(option), section.objects, job.device) for option in ("coarse", "fused"))
    pool = data.evaluation_cameras
    around = [
        pool[torch.arange(seed * section.views, (seed + 1) * section.views) % len(pool)] for seed in range(len(drawn))
    ]

    def samples(name: str, label: str, after: str, scenes: Iterator[Scene]) -> RungPictures:
        return RungPictures(name, label, "samples", _seen(scenes, around, data.image_size), after)

    yield samples("samples", "codes as sampled", "coded", iter(drawn))
    sharpened = (method.superresolve(scene, seed) for seed, scene in enumerate(drawn))
    yield samples("samples_superresolved", "... super-resolved", "samples", sharpened)
    yield samples("samples_fused", "... and fused", "samples_superresolved", iter(fused))


def errors_of(method: CodeFusion, held_out: Tensor) -> list[DenoiserErrors]:
    """Errors of the estimates and of the network on the codes (M, numbers, m, m, m) of held-out objects; none without any."""
    if not len(held_out):
        return []
    estimates, codes = method.estimates, method.space.standardised(held_out)
    times = [round(share * (method.schedule.steps - 1)) for share in NOISE_LEVELS]
    times = [t for t in dict.fromkeys(times) if t >= method.training_section.weakest * method.schedule.steps]
    levels = [estimates.alpha_and_sigma(t) for t in times]
    time_of = {alpha: t for (alpha, _), t in zip(levels, times, strict=True)}

    def blend(noisy: Tensor, alpha: float, sigma: float) -> Tensor:
        t = time_of[alpha]
        return estimates.blend(estimates.linear_at(noisy, t), estimates.local_at(noisy, t), t)

    found = {
        "linear estimate": lambda noisy, alpha, sigma: estimates.linear_at(noisy, time_of[alpha]),
        "local estimate": lambda noisy, alpha, sigma: estimates.local_at(noisy, time_of[alpha]),
        "blend of both": blend,
        "network": lambda noisy, alpha, sigma: method.denoiser(noisy, time_of[alpha], estimates),
    }
    return [denoising_errors(name, estimate, codes, levels) for name, estimate in found.items()]


def _fused(method: CodeFusion, scene: Scene, seed: int, data: PreparedCategory) -> Scene:
    """A scene, super-resolved and fused as samples are."""
    sharp = method.superresolve(scene, seed)
    return method.fuse(sharp, method.draw_hypotheses(sharp, data.evaluation_cameras, data.image_size))


def _scenes(folder: Path, count: int, device: torch.device) -> list[Scene]:
    """The first `count` scenes of all shards of a run, by seed. Raises UserError where there is none."""
    paths = sorted((path.parent for path in folder.glob("*/*/scene.json")), key=lambda path: path.name)
    if not paths:
        raise UserError(f"{folder}: no scenes here (expected <shard>/<seed>/scene.json)")
    return [load_scene(path, device)[0] for path in paths[:count]]


def _seen(scenes: Iterator[Scene], cameras: list[Cameras], size: int) -> Pictures:
    """Pictures of each scene from its own cameras."""
    images, units = [], []
    for unit, (scene, around) in enumerate(zip(scenes, cameras, strict=False)):
        images.append(to_bytes(scene.render(around, size).rgb))
        units += [unit] * len(around)
    return Pictures(np.concatenate(images), np.array(units))
