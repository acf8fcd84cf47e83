"""Units of work of the preset `paper`: what each rule repeats most, ready to be measured by tools/paper_estimates.py.

Networks are untrained, images random; scenes are a ball of radius 0.6, without which untrained ones would be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from holofusion.evaluation import static_field
from holofusion.evaluation.features import extract as extract_features
from holofusion.evaluation.features import load_network
from holofusion.evaluation.frechet import frechet
from holofusion.methods.base import construct
from holofusion.methods.files import method_class
from holofusion.methods.holodiffusion import HoloDiffusion, VoxelAutoencoder
from holofusion.methods.sds import ScoreDistillation, distil_score
from holofusion.pipeline.registry import ROWS
from holofusion.scenes.base import SampleRequest, Scene
from tools import work
from tools.work import OBJECTS, Work, cameras, settings_of

REPEATED = 10  # steps at once of what has a start that would blur a single one


PAPER = settings_of("paper")
SIZE = PAPER.dataset.image_size
MICRO = PAPER.parallel.micro_batches
SCENES = -(-PAPER.sampling.scenes // PAPER.sampling.shards)  # of one job
VIEWS = PAPER.render.views + PAPER.render.consistency_views + PAPER.render.turntable_frames  # of a first scene
CURVE = 6 * PAPER.curve.scenes  # scenes of one job


@dataclass(frozen=True)
class Unit:
    """Part of a rule's job, done `times` times in it. prepare: makes the function that does it once (`of` units of it)."""

    rule: str
    what: str
    times: float
    prepare: Callable[[], Work]
    of: int = 1


def baseline(name: str) -> Work:
    settings = settings_of("paper", pigan={"doublings": 0})
    return work.training(construct(method_class(ROWS[name]), dict(settings)), PAPER)


def family(name: str) -> Work:
    """A micro-batch of HoloFusion's joint training, or of the row without the bootstrap."""
    return work.training(work.family(settings_of("paper", name)), PAPER)


def standardisation() -> Work:
    """The statistics of REPEATED objects' grids."""
    coarse = HoloDiffusion(PAPER.volume, PAPER.denoiser)
    grids = torch.randn(REPEATED, *coarse.mean.shape)
    return lambda: coarse.standardise_by(grids)


def distillation(name: str) -> Work:
    return work.distillation(name, settings_of("paper", name), REPEATED)


def score_distillation() -> Work:
    settings = settings_of("paper", sds={"scene_steps": REPEATED})
    guide = construct(ScoreDistillation, dict(settings)).guide.requires_grad_(False)
    return lambda: distil_score(guide, cameras(8), settings.volume, settings.sds, 0)


def rendering(scene: Scene) -> Work:
    return lambda: scene.render(cameras(1), SIZE)


def meshing(scene: Scene) -> Work:
    return lambda: scene.surface(PAPER.mesh.resolution)


def consistency() -> Work:
    images = work.fused_scene("holofusion", PAPER).render(cameras(1), SIZE).rgb.expand(16, -1, -1, -1)
    section = PAPER.consistency.model_copy(update={"steps": 4 * REPEATED})
    return lambda: static_field.fit(images, cameras(16), section, 0)


def features() -> Work:
    network = load_network(PAPER.evaluation.feature_network, None, torch.device("cpu"))
    images = [np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)] * 16
    return lambda: extract_features(network, images, len(images), "features")


def redraw() -> Work:
    random, real = np.random.default_rng(0), PAPER.evaluation.reference_frames * OBJECTS
    first, second = (random.standard_normal((count, 1408)) for count in (real, PAPER.evaluation.images))
    return lambda: frechet(first, second, np.ones(len(first)), np.ones(len(second)))


def sampled(name: str) -> Scene:
    return construct(method_class(ROWS[name]), dict(PAPER)).eval().sample(SampleRequest(0))


distilled, passes = PAPER.distillation, PAPER.superresolution_sampling.steps
UNITS = {
    "warmup": Unit(
        "warmup",
        "micro-batch",
        MICRO * PAPER.warmup.steps,
        lambda: work.training(construct(VoxelAutoencoder, dict(PAPER)), PAPER),
    ),
    "refinement": Unit(
        "warmup", "refinement step of an object", OBJECTS * PAPER.refinement.steps, lambda: work.refinement(PAPER)
    ),
    "standardisation": Unit("train", "statistics of an object's grid", OBJECTS, standardisation, REPEATED),
    **{
        name: Unit("train", f"{name}: micro-batch", MICRO * PAPER.training.steps, lambda name=name: family(name))
        for name in ("holofusion", "holodiffusion_nobootstrap")
    },
    **{
        name: Unit(
            "train", f"{name}: micro-batch", MICRO * getattr(PAPER, name).steps, lambda name=name: baseline(name)
        )
        for name in ("pigan", "eg3d", "get3d", "sds")
    },
    "denoising": Unit(
        "sample", "holodiffusion: denoising step", SCENES * PAPER.sampling.steps, lambda: work.denoising(PAPER)
    ),
    "patch_remix": Unit(
        "sample",
        "holofusion: distillation step",
        SCENES * distilled.steps,
        lambda: distillation("holofusion"),
        REPEATED,
    ),
    "distilled_sds": Unit(
        "sample",
        "holofusion_sds: distillation step",
        SCENES * settings_of("paper", "holofusion_sds").distillation.steps,
        lambda: distillation("holofusion_sds"),
        REPEATED,
    ),
    "scene_sds": Unit("sample", "sds: step of a scene", SCENES * PAPER.sds.scene_steps, score_distillation, REPEATED),
    "hypotheses": Unit(
        "hypotheses",
        "denoising step of a camera's hypotheses",
        SCENES * PAPER.hypotheses.views * passes,
        lambda: work.superresolving("holofusion", PAPER, PAPER.hypotheses.count),
    ),
    "render_star": Unit(
        "render",
        "holodiffusion_star: denoising step of a view",
        SCENES * VIEWS * passes,
        lambda: work.superresolving("holofusion", PAPER, 1),
    ),
    "render_dense": Unit("render", "holodiffusion: view", SCENES * VIEWS, lambda: rendering(work.coarse_scene(PAPER))),
    "render_fused": Unit(
        "render", "holofusion: view", SCENES * VIEWS, lambda: rendering(work.fused_scene("holofusion", PAPER))
    ),
    "render_pigan": Unit("render", "pigan: view", SCENES * VIEWS, lambda: rendering(sampled("pigan"))),
    "render_eg3d": Unit("render", "eg3d: view", SCENES * VIEWS, lambda: rendering(sampled("eg3d"))),
    "mesh": Unit(
        "mesh",
        "holofusion: scene",
        SCENES,
        lambda: meshing(work.fused_scene("holofusion", PAPER)),
    ),
    "features": Unit(
        "evaluate",
        "features of an image",
        PAPER.evaluation.images + PAPER.evaluation.reference_frames * OBJECTS,
        features,
        16,
    ),
    "redraw": Unit("evaluate", "Fréchet distance of a redraw", 2 * PAPER.intervals.replicates, redraw),
    "consistency": Unit(
        "consistency",
        "step of a fit",
        PAPER.render.consistency_scenes * PAPER.consistency.steps,
        consistency,
        4 * REPEATED,
    ),
    "curve": Unit("curve", "holofusion: denoising step", CURVE * PAPER.sampling.steps, lambda: work.denoising(PAPER)),
    "curve_sds": Unit("curve", "sds: step of a scene", CURVE * PAPER.sds.scene_steps, score_distillation, REPEATED),
}
