"""Units of work of the preset `paper`: what each rule repeats most, ready to be measured by tools/paper_estimates.py.

Networks are untrained, images random; scenes are a ball of radius 0.6, without which untrained ones would be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from holofusion.cameras import Cameras, turntable
from holofusion.config.params import Params
from holofusion.data.batches import ViewBatch
from holofusion.evaluation import static_field
from holofusion.evaluation.features import extract as extract_features
from holofusion.evaluation.features import load_network
from holofusion.evaluation.frechet import frechet
from holofusion.methods.base import TrainingInputs, WarmupResult, construct
from holofusion.methods.distillation import distil, start_from
from holofusion.methods.files import method_class
from holofusion.methods.holodiffusion import HoloDiffusion, VoxelAutoencoder, photometric_error
from holofusion.methods.holofusion import HoloFusion, coarse_facts
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.sds import ScoreDistillation, distil_score
from holofusion.methods.superresolution import SuperResolution, SuperResolvedFacts, SuperResolvedScene
from holofusion.networks.render_mlp import RenderMLP
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import ROWS
from holofusion.pipeline.resolve import settings_for
from holofusion.rendering.grids import DenseField, voxel_centres
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.scenes.voxel import SparseVoxelScene, VoxelScene

Work = Callable[[], object]
OBJECTS = 500  # of a category: HoloDiffusion's limit
REPEATED = 10  # steps at once of what has a start that would blur a single one


def settings_of(method: str | None = None, **changes: dict) -> Params:
    """The preset as a method sees it, with some keys of some sections changed."""
    params = load_params(Path(__file__).parents[1] / "params.yaml", "paper")
    content = settings_for(params, method)
    changing = {
        "fast",
        *(name for name, row in ROWS.items() if row.changes),
    }  # sections that change others, and are in `content` already
    sections = {
        name: type(getattr(params, name)).model_validate(values | changes.get(name, {}))
        for name, values in content.items()
        if isinstance(values, dict) and name not in changing
    }
    return params.model_copy(update=sections)


PAPER = settings_of()
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


def cameras(count: int) -> Cameras:
    """Cameras that the ball fills three quarters of the width of, as CO3D's crop does."""
    return turntable(count, 20.0, 5.0, 6.25)


def training(method: torch.nn.Module) -> Work:
    """One micro-batch: forward, backward, optimiser."""
    objects, views = method.objects_per_batch, method.views_per_object
    row = torch.linspace(-1, 1, SIZE)
    disc = (row[:, None] ** 2 + row[None] ** 2 < 0.5).float().expand(objects, views, 1, SIZE, SIZE)
    images = 1 - disc * torch.rand(objects, views, 3, SIZE, SIZE)
    batch = ViewBatch(list("abcdefgh"[:objects]), images, disc, cameras(objects * views))
    optimiser = torch.optim.Adam(method.parameter_groups())

    def step() -> None:
        method.training_step(batch, 0, torch.Generator().manual_seed(0))["loss"].backward()
        optimiser.step()

    return step


def family(name: str) -> Work:
    """A micro-batch of HoloFusion's joint training, or of the row without the bootstrap."""
    method = construct(HoloFusion, dict(settings_of(name)))
    warmup = WarmupResult(torch.randn(3, *method.coarse.mean.shape), method.coarse.decoder.state_dict())
    method.prepare(TrainingInputs(SimpleNamespace(train=list("abc"), folder=None), warmup))
    return training(method)


def baseline(name: str) -> Work:
    return training(construct(method_class(ROWS[name]), dict(settings_of(pigan={"doublings": 0}))))


def standardisation() -> Work:
    """The statistics of REPEATED objects' grids."""
    coarse = HoloDiffusion(PAPER.volume, PAPER.denoiser)
    grids = torch.randn(REPEATED, *coarse.mean.shape)
    return lambda: coarse.standardise_by(grids)


def refinement() -> Work:
    """A step of sharpening one object's grid."""
    grid = torch.randn(1, PAPER.volume.features, *[PAPER.volume.resolution] * 3, requires_grad=True)
    views, decoder = PAPER.refinement.views, coarse_scene().field.decoder
    batch = ViewBatch(["a"], torch.rand(1, views, 3, SIZE, SIZE), torch.ones(1, views, 1, SIZE, SIZE), cameras(views))
    generator = torch.Generator().manual_seed(0)
    field = DenseField(grid, decoder, PAPER.volume.extent)
    return lambda: photometric_error(
        field, batch, PAPER.warmup.rays, PAPER.rendering, PAPER.volume.precision, generator
    )[0].backward()


def coarse_scene() -> VoxelScene:
    volume = PAPER.volume
    decoder = RenderMLP(volume.features, volume.decoder_width, volume.density_scale)
    grid = torch.randn(1, volume.features, *[volume.resolution] * 3)
    inside = 0.6 - voxel_centres(volume.resolution, volume.extent).norm(dim=1)
    grid[:, 0] = 40 * inside.reshape(grid.shape[2:])
    with torch.no_grad():  # the first feature is the density
        decoder.layers[-1].weight[0] = 0
        decoder.skip.weight[0] = torch.eye(volume.features)[0]
    return VoxelScene(grid, decoder, coarse_facts(PAPER.volume, PAPER.rendering))


def fused_scene() -> SparseVoxelScene:
    coarse = coarse_scene()
    facts = coarse.facts.model_copy(update={"coarse_samples": PAPER.distillation.samples})
    return SparseVoxelScene(start_from(coarse, PAPER.distillation.resolution), facts)


def superresolved_scene(**sampling: int) -> SuperResolvedScene:
    """Of the coarse one, with some keys of superresolution_sampling changed."""
    coarse, network = coarse_scene(), SuperResolution(PAPER.superresolution, PAPER.volume.precision)
    facts = SuperResolvedFacts(
        coarse=coarse.facts,
        superresolution=PAPER.superresolution,
        superresolution_sampling=PAPER.superresolution_sampling.model_copy(update=sampling),
        seed=0,
    )
    return SuperResolvedScene(coarse, network, facts)


def denoising() -> Work:
    coarse = HoloDiffusion(PAPER.volume, PAPER.denoiser).eval()
    return lambda: coarse.sample_grid(0, 1, "ddpm")


def superresolving(count: int) -> Work:
    """One denoising step of `count` images of one camera, their render included."""
    scene = superresolved_scene(steps=1)
    low = scene.render_low(cameras(1)).expand(count, -1, -1, -1)
    section = scene.facts.superresolution_sampling
    return lambda: scene.network.superresolve(low, SIZE, section, torch.Generator().manual_seed(0))


def distillation(method: str) -> Work:
    section = settings_of(method, distillation={"steps": REPEATED}).distillation
    pixels = np.random.default_rng(0).integers(0, 256, (8, PAPER.hypotheses.count, SIZE, SIZE, 3), np.uint8)
    scene, bank = superresolved_scene(), HypothesisBank(cameras(8), pixels)
    return lambda: distil(scene, bank, section)


def score_distillation() -> Work:
    settings = settings_of(sds={"scene_steps": REPEATED})
    guide = construct(ScoreDistillation, dict(settings)).guide.requires_grad_(False)
    return lambda: distil_score(guide, cameras(8), settings.volume, settings.sds, 0)


def rendering(scene: Scene) -> Work:
    return lambda: scene.render(cameras(1), SIZE)


def meshing(scene: Scene) -> Work:
    return lambda: scene.surface(PAPER.mesh.resolution)


def consistency() -> Work:
    images = fused_scene().render(cameras(1), SIZE).rgb.expand(16, -1, -1, -1)
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
        "warmup", "micro-batch", MICRO * PAPER.warmup.steps, lambda: training(construct(VoxelAutoencoder, dict(PAPER)))
    ),
    "refinement": Unit("warmup", "refinement step of an object", OBJECTS * PAPER.refinement.steps, refinement),
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
    "denoising": Unit("sample", "holodiffusion: denoising step", SCENES * PAPER.sampling.steps, denoising),
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
        SCENES * settings_of("holofusion_sds").distillation.steps,
        lambda: distillation("holofusion_sds"),
        REPEATED,
    ),
    "scene_sds": Unit("sample", "sds: step of a scene", SCENES * PAPER.sds.scene_steps, score_distillation, REPEATED),
    "hypotheses": Unit(
        "hypotheses",
        "denoising step of a camera's hypotheses",
        SCENES * PAPER.hypotheses.views * passes,
        lambda: superresolving(PAPER.hypotheses.count),
    ),
    "render_star": Unit(
        "render", "holodiffusion_star: denoising step of a view", SCENES * VIEWS * passes, lambda: superresolving(1)
    ),
    "render_dense": Unit("render", "holodiffusion: view", SCENES * VIEWS, lambda: rendering(coarse_scene())),
    "render_fused": Unit("render", "holofusion: view", SCENES * VIEWS, lambda: rendering(fused_scene())),
    "render_pigan": Unit("render", "pigan: view", SCENES * VIEWS, lambda: rendering(sampled("pigan"))),
    "render_eg3d": Unit("render", "eg3d: view", SCENES * VIEWS, lambda: rendering(sampled("eg3d"))),
    "mesh": Unit(
        "mesh",
        "holofusion: scene",
        SCENES,
        lambda: meshing(fused_scene()),
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
    "curve": Unit("curve", "holofusion: denoising step", CURVE * PAPER.sampling.steps, denoising),
    "curve_sds": Unit("curve", "sds: step of a scene", CURVE * PAPER.sds.scene_steps, score_distillation, REPEATED),
}
