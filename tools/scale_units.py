"""Units of work of HoloFusion's rows, over codes and as published, in any preset: what a run on one category repeats most.

Rows are those of config/gpu.yaml in every preset, so that presets can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holofusion.config.params import Params
from holofusion.diffusion.process import NoiseSchedule
from holofusion.methods.base import construct
from holofusion.methods.closed_form import takes_local
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.methods.pairs import VIEWS
from holofusion.pipeline.registry import ROWS, Source
from holofusion.scenes.base import Scene
from holofusion.training.base import Trainable
from tools import work
from tools.work import OBJECTS, Work

PRESETS = ("mini", "gpu", "paper")
METHODS = work.settings_of("gpu").methods


@dataclass(frozen=True)
class Unit:
    """Part of a step's work, done `times` times in a run on one category. prepare: makes the function that does it once.

    fake: it can be counted on fake tensors; what depends on values, such as which space is empty, takes real ones.
    method: makes the module that is trained, where one is.
    """

    step: str
    what: str
    times: int
    prepare: Callable[[], Work]
    fake: bool = False
    method: Callable[[], Trainable] | None = None

    @property
    def name(self) -> str:
        return f"{self.step}: {self.what}"


def settings(preset: str, method: str | None = None) -> Params:
    """In bf16, whatever this machine computes in."""
    return work.settings_of(preset, method, volume={"precision": "bf16"})


def objects_of(preset: str) -> int:
    """Training objects of one category; of photographs as many as `OBJECTS`."""
    params = settings(preset)
    known = params.synthetic.objects if params.dataset.source == "synthetic" else OBJECTS
    return known - params.dataset.held_out


def frames_of(preset: str) -> int:
    """Photographs of an object."""
    params = settings(preset)
    return params.synthetic.views if params.dataset.source == "synthetic" else params.dataset.max_frames


def views_of(params: Params) -> int:
    """Views that are rendered of one row's scenes."""
    shown, seen = params.render, params.sampling.scenes
    turned = shown.turntable_scenes * shown.turntable_frames
    return seen * shown.views + turned + shown.consistency_scenes * shown.consistency_views


def times_of(params: Params) -> list[int]:
    """Time steps at which a code is denoised, from noise."""
    return schedule_of(params).strided(params.code_sampling.steps)


def local_steps(params: Params) -> int:
    """How many of these take the local estimate."""
    return sum(takes_local(schedule_of(params), now, params.code_sampling) for now in times_of(params))


def schedule_of(params: Params) -> NoiseSchedule:
    return NoiseSchedule(params.estimates.noise_steps, params.estimates.schedule_shift)


def trained(step: str, what: str, times: int, params: Params, method: Callable[[], Trainable], fake: bool) -> Unit:
    return Unit(step, what, times, lambda: work.training(method(), params), fake, method)


def units(preset: str) -> list[Unit]:
    """In the order of the pipeline's steps."""
    return [*preparing(preset), *training(preset), *sampling(preset), *showing(preset)]


def preparing(preset: str) -> list[Unit]:
    """What comes before the trainings: reconstructions, codes, the warm-up."""
    features, codes, objects = settings(preset), settings(preset, "code_fusion"), objects_of(preset)
    micro, everyone = features.parallel.micro_batches, objects + features.dataset.held_out
    fits = everyone * (codes.reconstruction.free_steps + codes.reconstruction.tuned_steps)
    tunings = 2 * everyone * codes.codes.tuned_steps
    return [
        Unit("reconstruct", "step on an object", fits, lambda: work.reconstruction_step(codes)),
        trained(
            "encode",
            "step of the decoder",
            micro * codes.codes.steps,
            codes,
            lambda: work.decoder_training(codes),
            False,
        ),
        Unit("encode", "step on an object's code", tunings, lambda: work.code_tuning(codes, 1)),
        trained(
            "warmup",
            "micro-batch",
            micro * features.warmup.steps,
            features,
            lambda: construct(VoxelAutoencoder, dict(features)),
            True,
        ),
        Unit(
            "warmup",
            "step on an object's grid",
            objects * features.refinement.steps,
            lambda: work.refinement(features),
        ),
    ]


def training(preset: str) -> list[Unit]:
    features, codes = settings(preset, "holofusion"), settings(preset, "code_fusion")
    micro, objects = features.parallel.micro_batches, objects_of(preset)
    return [
        trained(
            "train",
            "code_fusion, micro-batch",
            micro * codes.code_training.steps,
            codes,
            lambda: work.code_fusion(codes, objects),
            True,
        ),
        trained(
            "train",
            "holofusion, micro-batch",
            micro * features.training.steps,
            features,
            lambda: work.family(features, objects),
            True,
        ),
    ]


def sampling(preset: str) -> list[Unit]:
    """Scenes from noise, hypotheses, fusion. A row that differs in the loss alone fuses as often again."""
    features, codes, objects = settings(preset, "holofusion"), settings(preset, "code_fusion"), objects_of(preset)
    scenes, local = features.sampling.scenes, settings(preset, "local_estimate")
    first = times_of(local)[0]  # now, since fake tensors have no values
    found = [
        Unit(
            "sample",
            "code_fusion_coarse, denoising step",
            scenes * (len(times_of(codes)) - local_steps(codes)),
            lambda: work.code_denoising(codes, objects),
            True,
        ),
        Unit(
            "sample",
            "code_fusion_coarse, denoising step in weak noise",
            scenes * local_steps(codes),
            lambda: work.estimate_denoising(codes, objects, 0),
            True,
        ),
        Unit(
            "sample",
            "local_estimate, denoising step",
            scenes * (len(times_of(local)) - local_steps(local)),
            lambda: work.estimate_denoising(local, objects, first),
            True,
        ),
        Unit(
            "sample",
            "local_estimate, denoising step in weak noise",
            scenes * local_steps(local),
            lambda: work.estimate_denoising(local, objects, 0),
            True,
        ),
        Unit(
            "sample",
            "holodiffusion, denoising step",
            scenes * features.sampling.steps,
            lambda: work.denoising(features),
            True,
        ),
    ]
    for name, params in (("code_fusion", codes), ("holofusion", features)):
        drawn = scenes * params.hypotheses.views * params.superresolution_sampling.steps
        rows = sum(ROWS[row].source == Source.HYPOTHESES and ROWS[row].trained_by == name for row in METHODS)
        found += [
            Unit(
                "hypotheses",
                f"{name}, denoising step of a camera's",
                drawn,
                lambda name=name, params=params: work.superresolving(name, params, params.hypotheses.count),
            ),
            Unit(
                "sample",
                f"{name}, step of fusion",
                rows * scenes * params.distillation.steps,
                lambda name=name, params=params: work.fusing_step(name, params),
            ),
        ]
    return [unit for unit in found if unit.times]


def showing(preset: str) -> list[Unit]:
    """Views of the scenes."""
    found = []
    for name in ("code_fusion", "holofusion"):
        params = settings(preset, name)
        alike = [ROWS[row].source for row in METHODS if ROWS[row].over_codes == ROWS[name].over_codes]
        passes, views = params.superresolution_sampling.steps, views_of(params)
        found += [
            Unit(
                "render",
                f"{name}, view of a scene from noise",
                alike.count(Source.NOISE) * views,
                lambda name=name, params=params: rendering(work.scene_for(name, params), params),
            ),
            Unit(
                "render",
                f"{name}, denoising step of a view",
                alike.count(Source.COARSE) * views * passes,
                lambda name=name, params=params: work.superresolving(name, params, 1),
            ),
            Unit(
                "render",
                f"{name}, view of a fused scene",
                alike.count(Source.HYPOTHESES) * views,
                lambda name=name, params=params: rendering(work.fused_scene(name, params), params),
            ),
        ]
    return found


def rendering(scene: Scene, params: Params) -> Work:
    return lambda: scene.render(work.cameras(1), params.dataset.image_size)


def data_of(preset: str) -> dict[str, int]:
    """Bytes of what a category's trainings are made from. On a GPU are: codes, pairs and grids."""
    params, codes, objects = settings(preset), settings(preset, "code_fusion"), objects_of(preset)
    side, cells = params.dataset.image_size, (codes.reconstruction.resolution // codes.codes.block) ** 3
    held = objects + params.dataset.held_out
    return {
        "photographs and masks": held * frames_of(preset) * side**2 * 4,
        "reconstructions": held * 4 * codes.reconstruction.resolution**3 * 2,
        "codes": objects * codes.codes.numbers * cells * 2,
        "pairs": objects * VIEWS * 4 * codes.superresolution.low_size**2 * 2,
        "grids of features": objects * params.volume.features * params.volume.resolution**3 * 4,
    }
