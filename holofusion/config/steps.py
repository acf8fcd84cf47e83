"""The settings of each step: one class per step, whose fields are the sections of params.yaml that it reads.

A step reruns when one of these sections changes, and when nothing else does. What training and sampling read differs between
rows: `config/row_steps.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from holofusion.config.baselines import (
    External,
)
from holofusion.config.codes import (
    Codes,
    Reconstruction,
)
from holofusion.config.data import Dataset, Download, Synthetic
from holofusion.config.evaluation import (
    Consistency,
    Curve,
    Evaluation,
    Geometry,
    Intervals,
    LadderSection,
    Mesh,
    MeshFiles,
    Render,
    Report,
)
from holofusion.config.params import (
    Encoder,
    Parallel,
    Refinement,
    Rendering,
    SuperResolutionSection,
    Volume,
    Warmup,
)
from holofusion.config.sampling import Hypotheses, Sampling, SuperResolutionSampling
from holofusion.config.section import Section


class StepSettings(Section):
    """The sections that one step reads, each complete."""


class DatasetSettings(StepSettings):
    """Of making the embedded objects."""

    synthetic: Synthetic


class DownloadSettings(StepSettings):
    """Of fetching photographs."""

    download: Download


class PrepareSettings(StepSettings):
    """Of cropping, centring and splitting photographs."""

    dataset: Dataset


class WarmupSettings(StepSettings):
    """Of training encoder and decoder without noise."""

    volume: Volume
    rendering: Rendering
    encoder: Encoder
    warmup: Warmup
    parallel: Parallel
    refinement: Refinement


class ReconstructSettings(StepSettings):
    """Of fitting a grid to the photographs of each object."""

    reconstruction: Reconstruction


class EncodeSettings(StepSettings):
    """Of the objects' codes and of their decoder."""

    volume: Volume
    codes: Codes
    parallel: Parallel


class HypothesesSettings(StepSettings):
    """Of super-resolving views of the coarse scenes."""

    volume: Volume
    rendering: Rendering
    sampling: Sampling
    superresolution: SuperResolutionSection
    superresolution_sampling: SuperResolutionSampling
    hypotheses: Hypotheses


class RenderSettings(StepSettings):
    """Of the views of finished scenes."""

    render: Render


class ImportViewsSettings(StepSettings):
    """Of views made elsewhere."""

    external: External


class MeshSettings(StepSettings):
    """Of the surfaces of finished scenes."""

    mesh: Mesh
    mesh_files: MeshFiles


class EvaluateSettings(StepSettings):
    """Of the scores of views, or of real images in their place."""

    evaluation: Evaluation
    intervals: Intervals


class ConsistencySettings(StepSettings):
    """Of the score of view consistency."""

    consistency: Consistency
    intervals: Intervals


class GeometrySettings(StepSettings):
    """Of the scores of surfaces."""

    geometry: Geometry
    intervals: Intervals


class SurfaceSettings(GeometrySettings):
    """The same, with those of pictures of surfaces."""

    evaluation: Evaluation
    consistency: Consistency


class CurveSettings(EvaluateSettings):
    """Of kernel distance against training time; joined by the sections that the row's sampling reads."""

    curve: Curve


class MemorisationSettings(StepSettings):
    """Of the search for each scene's sources among the training objects."""

    intervals: Intervals


class LadderSettings(EvaluateSettings):
    """Of the scores of every stage; joined by the sections that the row's sampling reads."""

    ladder: LadderSection
    hypotheses: Hypotheses


class ReportSettings(StepSettings):
    """Of the page."""

    preset: str
    categories: list[str]
    seeds: list[int]
    methods: list[str]
    report: Report


Settings = TypeVar("Settings", bound=StepSettings)


def select(kind: type[Settings], sections: Mapping[str, Any]) -> Settings:
    """The settings of the class `kind` out of a mapping that holds at least its sections, as plain values.

    Raises pydantic's ValidationError where one is missing or not valid.
    """
    return kind.model_validate({name: sections[name] for name in kind.model_fields if name in sections})


def joined(*kinds: type[StepSettings]) -> type[StepSettings]:
    """The class whose fields are those of all `kinds`; itself where there is one."""
    name = "And".join(kind.__name__ for kind in kinds)
    return kinds[0] if len(kinds) == 1 else type(name, kinds, {"__doc__": "Sections of several classes."})
