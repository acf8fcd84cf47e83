"""The one list of rows of the results table: where a row's weights come from, and how its scenes are made.

Imports nothing heavy: the workflow reads it to know which jobs there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module

from holofusion.config import row_steps as settings
from holofusion.config.row_steps import SampleSettings, TrainSettings


class Source(StrEnum):
    """What the scenes of a row are made from."""

    NOISE = "noise"  # the weights alone
    COARSE = "coarse"  # the scenes of the row from noise of the same training, seed by seed
    HYPOTHESES = "hypotheses"  # these, and their super-resolved views
    IMAGES = "images"  # there are none: its views were made elsewhere


class Need(StrEnum):
    """What a training needs beside prepared data."""

    WARMUP = "warmup"  # encoder and decoder of the published representation, and the objects' grids
    CODES = "codes"  # the objects' codes and their decoder
    BASE = "base"  # the finished training of the row's `base`


@dataclass(frozen=True)
class Row:
    """One row of the table.

    trained_by: the row whose training gives the weights; rows that differ only in a later step share one.
    model: "module:Class" of a `holofusion.methods.base.Method`; None where nothing is trained or sampled here.
    needs: what its training takes beside data.
    base: the row whose finished training its own takes over, weights, coarse scenes and hypotheses; "" for none.
    train_settings, sample_settings: the sections of params.yaml that its training and the making of its scenes read.
    changes: the sections that the section of params.yaml named like the row may change.
    label: what the page and the documents call it; "" for its name.
    """

    name: str
    trained_by: str
    source: Source
    model: str | None
    train_settings: type[TrainSettings] = TrainSettings
    sample_settings: type[SampleSettings] = SampleSettings
    needs: tuple[Need, ...] = ()
    changes: tuple[str, ...] = ()
    label: str = ""
    base: str = ""

    @property
    def first_stage(self) -> str:
        """The row whose training gives coarse scenes and hypotheses: its base, or the one that gives its own weights."""
        return self.base or self.trained_by

    @property
    def over_codes(self) -> bool:
        """Whether it generates codes of objects, which their decoder turns into grids."""
        return Need.CODES in ROWS[self.first_stage].needs


HOLOFUSION = "holofusion.methods.holofusion:HoloFusion"
FROM: dict[Source, type[SampleSettings]] = {
    Source.NOISE: settings.NoiseSampleSettings,
    Source.COARSE: settings.CoarseSampleSettings,
    Source.HYPOTHESES: settings.HypothesesSampleSettings,
}

OF_CODES = FROM | {Source.NOISE: settings.CodeSampleSettings}


def _holofusion(name: str, label: str, trained_by: str, source: Source, *changes: str) -> Row:
    train = settings.HoloFusionTrainSettings
    return Row(name, trained_by, source, HOLOFUSION, train, FROM[source], (Need.WARMUP,), changes, label)


def _code_fusion(
    name: str, label: str, trained_by: str, source: Source, *changes: str, sample: type[SampleSettings] | None = None
) -> Row:
    train, model = settings.CodeFusionTrainSettings, "holofusion.methods.code_fusion:CodeFusion"
    return Row(name, trained_by, source, model, train, sample or OF_CODES[source], (Need.CODES,), changes, label)


def _on_surface(name: str, label: str) -> Row:
    sample = settings.SurfaceSampleSettings
    return _code_fusion(name, label, "code_fusion", Source.HYPOTHESES, "distillation", sample=sample)


def _feed_forward(name: str, label: str) -> Row:
    train, sample = settings.FeedForwardTrainSettings, settings.FeedForwardSampleSettings
    model, source = "holofusion.methods.feedforward:FeedForwardFusion", Source.HYPOTHESES
    return Row(name, name, source, model, train, sample, (Need.BASE,), (), label, base="code_fusion")


def _estimates(name: str, label: str, model: str, *changes: str) -> Row:
    train, sample = settings.EstimatesTrainSettings, settings.EstimatesSampleSettings
    model = f"holofusion.methods.closed_form:{model}"
    return Row(name, name, Source.NOISE, model, train, sample, (Need.CODES,), changes, label)


def _baseline(
    name: str, label: str, model: str, train: type[TrainSettings], sample: type[SampleSettings], *changes: str
) -> Row:
    return Row(name, name, Source.NOISE, f"holofusion.methods.{model}", train, sample, (), changes, label)


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        _holofusion("holofusion", "HoloFusion over features", "holofusion", Source.HYPOTHESES, "distillation"),
        _holofusion(
            "holofusion_mse", "HoloFusion over features (MSE)", "holofusion", Source.HYPOTHESES, "distillation"
        ),
        _holofusion(
            "holofusion_sds", "HoloFusion over features (SDS)", "holofusion", Source.HYPOTHESES, "distillation"
        ),
        _holofusion("holodiffusion_star", "HoloDiffusion*", "holofusion", Source.COARSE),
        _holofusion("holodiffusion", "HoloDiffusion", "holofusion", Source.NOISE),
        _holofusion(
            "holodiffusion_nobootstrap",
            "HoloDiffusion, no bootstrap",
            "holodiffusion_nobootstrap",
            Source.NOISE,
            "training",
            "superresolution",
        ),
        _code_fusion("code_fusion", "HoloFusion over codes", "code_fusion", Source.HYPOTHESES, "distillation"),
        _code_fusion(
            "code_fusion_mse", "HoloFusion over codes (MSE)", "code_fusion", Source.HYPOTHESES, "distillation"
        ),
        _code_fusion(
            "code_fusion_sds", "HoloFusion over codes (SDS)", "code_fusion", Source.HYPOTHESES, "distillation"
        ),
        _on_surface("code_fusion_mesh", "HoloFusion over codes, on a surface"),
        _on_surface("code_fusion_mesh_mse", "HoloFusion over codes, on a surface (MSE)"),
        _feed_forward("code_fusion_feedforward", "HoloFusion over codes, fused feed-forward"),
        _code_fusion("code_fusion_star", "HoloFusion over codes, not fused", "code_fusion", Source.COARSE),
        _code_fusion("code_fusion_coarse", "HoloFusion over codes, as sampled", "code_fusion", Source.NOISE),
        _code_fusion(
            "code_fusion_linear",
            "HoloFusion over codes, linear estimate alone",
            "code_fusion_linear",
            Source.NOISE,
            "code_denoiser",
            "code_training",
            "code_sampling",
        ),
        _estimates("local_estimate", "Local estimate, nothing trained", "LocalSamples", "code_sampling"),
        _estimates("gaussian", "Gaussian over codes, nothing trained", "GaussianSamples"),
        _baseline("pigan", "pi-GAN", "pigan:PiGan", settings.PiGanTrainSettings, settings.PiGanSampleSettings),
        _baseline("graf", "GRAF (shrunk)", "graf:Graf", settings.GrafTrainSettings, settings.GrafSampleSettings),
        _baseline(
            "graf_whole",
            "GRAF (shrunk), whole images",
            "graf:Graf",
            settings.GrafTrainSettings,
            settings.GrafSampleSettings,
            "graf",
        ),
        _baseline("eg3d", "EG3D", "eg3d:EG3D", settings.EG3DTrainSettings, settings.EG3DSampleSettings),
        _baseline("get3d", "GET3D", "get3d:GET3D", settings.GET3DTrainSettings, settings.GET3DSampleSettings),
        _baseline(
            "sds",
            "Score distillation",
            "sds:ScoreDistillation",
            settings.ScoreDistillationTrainSettings,
            settings.ScoreDistillationSampleSettings,
        ),
        _baseline(
            "stable_dreamfusion",
            "Stable-DreamFusion",
            "stable_dreamfusion:StableDreamFusion",
            settings.StableDreamFusionTrainSettings,
            settings.StableDreamFusionSampleSettings,
        ),
        _baseline(
            "magic3d_sds",
            "Magic3D-style, prior learned from the photographs",
            "magic3d:Magic3DStyle",
            settings.Magic3DTrainSettings,
            settings.Magic3DSampleSettings,
            "sds",
        ),
        _baseline(
            "stable_magic3d",
            "Magic3D-style, Stable Diffusion",
            "magic3d:StableMagic3D",
            settings.StableMagic3DTrainSettings,
            settings.StableMagic3DSampleSettings,
            "sds",
        ),
        Row("external", "external", Source.IMAGES, None, label="External pictures"),
    )
}


FLOOR = "real_floor"
REAL_ROWS = {
    FLOOR: "Real images (floor)",
    "real_blurred": "Real images, blurred",
    "real_other": "Real images, other category",
    "real_copy": "Copies of training objects",
}
"""Real images scored like rows, which the others are read against, with their labels; `evaluation/references.py` says what
each is."""


def label_of(name: str) -> str:
    """What readers call a row, or a row of real images; the plain name of any other."""
    return REAL_ROWS.get(name) or (ROWS[name].label if name in ROWS else "") or name


def coarse_of(name: str) -> str:
    """The row that samples from noise what row `name` starts from; `name` itself if there is none."""
    first = ROWS[name].first_stage
    return next((r.name for r in ROWS.values() if r.trained_by == first and r.source == Source.NOISE), name)


def class_named(path: str) -> type:
    """The class that "module:Class" names. Raises ImportError, AttributeError or ValueError where there is none."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
