"""Memory and run time that a job of each step asks a scheduler for, estimated from the sizes in the settings.

These are requests, generous by a factor of two or three, not predictions. All jobs of a step ask for the same, that of its
heaviest method: an array of jobs has one request. A job that was cut off asks for more when it is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holofusion.config.baselines import ScoreDistillationSection
from holofusion.config.params import Params
from holofusion.pipeline.registry import ROWS, Row, Source, coarse_of
from holofusion.pipeline.resolve import settings_for

LEAST_MB = 4000  # libraries, with those of a GPU
KEPT = 40  # tensors as large as a network's widest layer that a step holds at once; `mini` on a CPU held 10 to 30
LAYERS = 18  # products per position, channel pair and tap of the widest layer: six layers, forward and twice backward
PER_SECOND = 2e12  # products of a modest GPU; one CPU core does 3e10 to 4e10 in `mini`. Not measured on any GPU
LEAST_MINUTES = 60  # `mini` without a GPU takes up to 25 per job
MOST_MINUTES = 24 * 60  # common limit of partitions; what takes longer resumes in the next attempt
RENDERED = 64  # of a point of a plain grid: as much work as this many channels
SURFACE = 6  # voxels that some view shows, in squares of the grid's side
CODE_COPIES = 4  # standardised, for the local estimate, and while they are made
WEIGHT_COPIES = 4  # of what the local estimate weighs each object with at each position, from evidence to share
MAGIC = "magic3d_sds"  # no preset asks for it: counted where somebody does
PHOTOGRAPHED = 500  # objects of a CO3D category, about


@dataclass(frozen=True)
class Work:
    """A network applied `times` times to `positions` pixels, voxels or points at once, `channels` wide, `taps` per kernel."""

    times: int
    positions: float
    channels: int
    taps: int = 1


def memory_mb(step: str, params: Params, attempt: int = 1) -> int:
    """Main memory of one job of a step in its n-th attempt, in MB of 10^6 bytes."""
    grids = _objects(params) * max(_grid_sizes(step, params), default=0)
    numbers = KEPT * max((each.positions * each.channels for each in _work(step, params)), default=0) + grids
    return attempt * round(LEAST_MB + 4 * numbers / 1e6)


def run_minutes(step: str, params: Params, attempt: int = 1) -> int:
    """Time limit of one job of a step in its n-th attempt; at most a day."""
    products = (each.times * each.positions * each.channels**2 * each.taps for each in _work(step, params))
    minutes = LEAST_MINUTES + LAYERS * max(products, default=0) / PER_SECOND / 60
    return min(MOST_MINUTES, attempt * round(minutes))


def _objects(params: Params) -> int:
    """Objects of a category."""
    return params.synthetic.objects if params.dataset.source == "synthetic" else PHOTOGRAPHED


def _grid_sizes(step: str, params: Params) -> Iterator[int]:
    """Numbers of an object that a step holds for all objects at once, each in several copies."""
    if step in ("warmup", "train"):
        yield params.volume.features * params.volume.resolution**3
    positions = (params.reconstruction.resolution // params.codes.block) ** 3
    if step in ("encode", "train"):
        yield CODE_COPIES * params.codes.numbers * positions
    for _, content in _rows_over_codes(params):
        if step in ("train", "sample", "curve"):
            at_once = content["code_training"]["batch"] if step == "train" else 1
            yield (CODE_COPIES * params.codes.numbers + WEIGHT_COPIES * at_once) * positions


def _rows_over_codes(params: Params) -> Iterator[tuple[Row, dict[str, Any]]]:
    """The rows over codes that are asked for, those that these need, and the settings that each gets."""
    asked = [name for name in params.methods if name in ROWS and ROWS[name].over_codes]
    for name in dict.fromkeys(other for each in asked for other in (each, ROWS[each].trained_by, coarse_of(each))):
        yield ROWS[name], settings_for(params, name)


def _work(step: str, params: Params) -> Iterator[Work]:
    """What one job of a step computes, one entry per network that may be its largest; nothing for the light steps."""
    scenes = -(-params.sampling.scenes // params.sampling.shards)
    voxels, denoiser = params.volume.resolution**3, params.denoiser.channels[0]
    sharpener, image = params.superresolution.channels[0], params.dataset.image_size**2
    if step == "warmup":
        views = params.warmup.batch * (params.encoder.source_views + params.warmup.target_views)
        yield Work(params.warmup.steps, views * params.encoder.image_size**2, params.encoder.width, 9)
    elif step == "reconstruct":
        fits, objects = params.reconstruction, _objects(params)
        steps = objects * (fits.free_steps + fits.tuned_steps)
        yield Work(steps, fits.rays * fits.samples, RENDERED)
    elif step == "encode":
        codes, objects = params.codes, _objects(params)
        positions = (params.reconstruction.resolution // codes.block) ** 3
        yield Work(codes.steps * codes.objects + 2 * objects * codes.tuned_steps, positions, codes.decoder_width, 27)
    elif step == "train":
        yield from _trainings(params)
    elif step == "sample":
        distillation, sds = params.distillation, params.sds
        points = distillation.samples
        pixels = distillation.patches * distillation.patch**2
        yield Work(scenes * params.sampling.steps, voxels, denoiser, 27)
        yield Work(scenes * distillation.steps, pixels * points, params.volume.decoder_width)
        yield Work(scenes * sds.scene_steps, sds.views * sds.image_size**2, sds.channels[0], 9)
        if MAGIC in params.methods:
            stage, sds = params.magic3d, _magic(params)
            yield Work(scenes * stage.steps, sds.views * stage.image_size**2, sds.channels[0], 9)
    elif step == "hypotheses":
        draws = params.hypotheses.views * params.hypotheses.count * params.superresolution_sampling.steps
        yield Work(scenes * draws, image, sharpener, 9)
    elif step == "render":
        draws = params.superresolution_sampling.steps * (params.render.views + params.render.consistency_views)
        yield Work(scenes * draws, image, sharpener, 9)
    elif step == "curve":
        yield Work(6 * params.curve.scenes * params.sampling.steps, voxels, denoiser, 27)
    for row, content in _rows_over_codes(params):
        yield from _over_codes(step, row, content, params)


def _over_codes(step: str, row: Row, content: dict[str, Any], params: Params) -> Iterator[Work]:
    """What one job computes for a row over codes, by the row's own settings. Its denoiser takes blocks of 2^3 positions."""
    scenes, image = -(-params.sampling.scenes // params.sampling.shards), params.dataset.image_size**2
    positions = (params.reconstruction.resolution // params.codes.block // 2) ** 3
    denoiser, sharpener = content["code_denoiser"]["channels"][0], content["superresolution"]["channels"][0]
    training, passes = content["code_training"], content["superresolution_sampling"]["steps"]
    learns = "code_denoiser" in row.train_settings.model_fields
    if step == "train" and learns and row.name == row.trained_by:
        yield Work(training["steps"], training["batch"] * positions, denoiser, 27)
        yield Work(training["steps"], training["crops"] * content["superresolution"]["crop"] ** 2, sharpener, 9)
    elif step == "sample" and row.source == Source.NOISE and learns:
        yield Work(scenes * content["code_sampling"]["steps"], positions, denoiser, 27)
    elif step == "curve" and row.source == Source.NOISE and learns:
        yield Work(6 * params.curve.scenes * content["code_sampling"]["steps"], positions, denoiser, 27)
    elif step == "sample" and row.source == Source.HYPOTHESES:
        fusion = content["distillation"]
        if "surface_fusion" in row.sample_settings.model_fields:
            yield Work(scenes * content["surface_fusion"]["steps"], image, RENDERED)
        else:
            yield Work(scenes * fusion["steps"], fusion["patches"] * fusion["patch"] ** 2 * fusion["samples"], RENDERED)
    elif step == "hypotheses" and row.source == Source.HYPOTHESES:
        draws = content["hypotheses"]["views"] * content["hypotheses"]["count"] * passes
        yield Work(scenes * draws, image, sharpener, 9)
    elif step == "render" and row.source == Source.COARSE:
        yield Work(scenes * passes * (params.render.views + params.render.consistency_views), image, sharpener, 9)


def _magic(params: Params) -> ScoreDistillationSection:
    """Score distillation as the row of two stages has it."""
    return ScoreDistillationSection.model_validate(settings_for(params, MAGIC)["sds"])


def _trainings(params: Params) -> Iterator[Work]:
    """One training step of every network, `external` and the rows with Stable Diffusion aside, which train nothing."""
    training, superresolution, batch = params.training, params.superresolution, params.adversarial.batch
    pigan, eg3d, get3d, sds = params.pigan, params.eg3d, params.get3d, params.sds
    crops = superresolution.objects * training.target_views * superresolution.draws
    grids = training.batch * (1 + training.bootstrap)
    rays = batch * pigan.image_size**2 * (pigan.coarse_samples + pigan.importance_samples)
    yield Work(training.steps, grids * params.volume.resolution**3, params.denoiser.channels[0], 27)
    yield Work(training.steps, crops * superresolution.crop**2, superresolution.channels[0], 9)
    yield Work(pigan.steps, rays, pigan.width)
    for name, changes in (("graf", None), ("graf_whole", params.graf_whole.graf)):
        if name in params.methods:  # few ask for these
            graf = params.graf.model_copy(update=changes.model_dump(exclude_none=True) if changes else {})
            yield Work(graf.steps, batch * graf.patch**2 * graf.samples, graf.width)
    if "code_fusion_feedforward" in params.methods:
        fusion, drawn, sharpening = params.feedforward, params.hypotheses, params.superresolution_sampling
        pictures = fusion.objects * drawn.views * drawn.count
        yield Work(pictures * sharpening.steps, params.dataset.image_size**2, superresolution.channels[0], 9)
        colours = SURFACE * fusion.resolution**2 * fusion.views * drawn.count
        yield Work(fusion.steps, colours, fusion.width)
    yield Work(eg3d.steps, batch * (4 * eg3d.raw_size) ** 2, eg3d.width, 9)
    yield Work(get3d.steps, get3d.batch * get3d.image_size**2, params.adversarial.width, 9)
    yield Work(sds.steps, sds.batch * sds.image_size**2, sds.channels[0], 9)
    if MAGIC in params.methods:
        sds = _magic(params)
        yield Work(sds.steps, sds.batch * params.magic3d.image_size**2, sds.channels[0], 9)
