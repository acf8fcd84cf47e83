"""Every key of params.yaml: its type, range and meaning. Values live in params.yaml alone.

One class per section, here or in the files beside this one. To add a key: one line in its section's class, one line in
params.yaml, then `holofusion schema`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holofusion.config.baselines import (
    Adversarial,
    EG3DSection,
    External,
    GET3DSection,
    GrafOverrides,
    GrafSection,
    Magic3DOverrides,
    Magic3DSection,
    PiGanSection,
    ScoreDistillationSection,
    StableDreamFusionSection,
)
from holofusion.config.codes import (
    CodeDenoiser,
    CodeDenoiserChanges,
    Codes,
    CodeSampling,
    CodeSamplingChanges,
    CodeTraining,
    CodeTrainingChanges,
    EstimatesSection,
    LocalEstimateOverrides,
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
from holofusion.config.sampling import (
    Distillation,
    DistillationOverrides,
    Fast,
    FeedForward,
    Hypotheses,
    Sampling,
    SuperResolutionSampling,
    SurfaceFusion,
)
from holofusion.config.section import Count, Name, Partial, Positive, Section, Share, Weight, Width


class Threads(Section):
    """CPU threads of one job of each step; of those not named here, one. With fewer cores (`--cores`), fewer are used."""

    dataset: Count = Field(description="worker processes that make the embedded objects")
    prepare: Count = Field(description="worker processes that crop and resize")
    warmup: Count = Field(description="torch threads")
    reconstruct: Count = Field(description="worker processes; each fits one object at a time")
    encode: Count = Field(description="torch threads, or worker processes that tune one object's code each")
    train: Count = Field(description="torch threads")
    hypotheses: Count = Field(description="torch threads of one shard; shards run side by side")
    sample: Count = Field(description="torch threads of one shard; shards run side by side")
    render: Count = Field(description="torch threads of one shard; shards run side by side")
    evaluate: Count = Field(description="torch threads; runs are scored side by side")
    reference: Count = Field(description="torch threads; rows of real images are scored side by side")
    mesh: Count = Field(description="torch threads of one shard; shards run side by side")
    consistency: Count = Field(description="torch threads; runs are scored side by side")
    curve: Count = Field(description="torch threads; trainings are followed side by side")
    report: Count = Field(description="torch threads")


class Volume(Section):
    """The voxel grid of features that is diffused, and its decoder."""

    resolution: int = Field(
        description="voxels per side of the coarse grid; a multiple of 2^levels of the denoiser", ge=4, multiple_of=4
    )
    features: Count = Field(description="features per voxel")
    extent: Positive = Field(description="the grid spans [-extent, extent] in normalised world units")
    decoder_width: Count = Field(description="hidden units of the MLP from features to density and colour")
    density_scale: Positive = Field(description="factor before the softplus that gives density")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        description="arithmetic of the heavy layers; auto: bf16 where the hardware has it; weights stay fp32"
    )


class Rendering(Section):
    """Emission-absorption rendering of the coarse grid."""

    image_size: int = Field(description="side of the images compared in training, px", ge=8, le=1024)
    coarse_samples: Count = Field(description="evenly spaced points per ray, while nothing is known of empty space")
    importance_samples: int = Field(description="further points per ray, where the first met density", ge=0)
    occupied_samples: Count = Field(
        description="points per ray once it is known, between the first and the last that is not"
    )
    empty_density: Positive = Field(description="cells below this density are skipped in finished scenes")


class Encoder(Section):
    """The image encoder behind the unprojection; used in training only."""

    width: Width = Field(description="channels of its first layer")
    image_size: int = Field(description="side of its input images, px", ge=16, le=512, multiple_of=8)
    source_views: int = Field(description="views pooled into one grid", ge=2)


class Warmup(Section):
    """Encoder and decoder alone, without noise, so that colour and shape enter the grid."""

    steps: Count = Field(description="training steps")
    batch: Count = Field(description="objects per step")
    learning_rate: Positive = Field(description="Adam's step size")
    rays: Count = Field(description="rays per target view")
    target_views: Count = Field(description="views rendered per object")
    mask_weight: Weight = Field(description="weight of the opacity error")
    feature_noise: Weight = Field(description="noise added to the grid, so that the decoder tolerates small errors")
    feature_decay: Weight = Field(description="weight of the penalty on large features")
    ema: float = Field(description="decay of the running average of the weights, per step", ge=0, lt=1)
    checkpoint_every: Count = Field(description="steps between saved states")


class Parallel(Section):
    """Trainings in several processes, one per GPU; what they compute does not depend on their number."""

    micro_batches: Count = Field(
        description="batches whose gradients are averaged in each step of every training; shared out among the processes"
    )


class Refinement(Section):
    """Sharpening the warm-up's grids, which the denoiser learns from, on each object's own views."""

    steps: int = Field(description="optimisation steps per object; 0: none", ge=0)
    learning_rate: Positive = Field(description="Adam's step size")
    views: Count = Field(description="views rendered per object and step")


class Denoiser(Section):
    """The 3D U-Net over voxel grids, and its noise."""

    channels: list[Width] = Field(description="channels per level, finest first", min_length=1)
    blocks: Count = Field(description="residual blocks per level")
    linear_rank: Count = Field(description="principal directions of the linear estimate that it corrects")
    noise_steps: int = Field(description="steps of the noise process", ge=2)
    schedule_shift: float = Field(
        description="added to the log signal-to-noise ratio (negative: noisier)", ge=-12, le=12
    )


class Training(Section):
    """Joint training of the 3D denoiser and the super-resolution."""

    steps: Count = Field(description="training steps")
    batch: Count = Field(description="objects per step")
    learning_rate: Positive = Field(description="Adam's step size for the 3D denoiser")
    decoder_rate: Weight = Field(description="the decoder's step size, share of learning_rate")
    ema: float = Field(description="decay of the running average of the weights, per step", ge=0, lt=1)
    bootstrap: Share = Field(description="share of the batch whose prediction is noised and denoised again")
    grid_weight: Weight = Field(description="weight of the error against the object's grid")
    grid_until: Share = Field(description="share of the run after which the grid error no longer counts")
    photometric_weight: Weight = Field(description="weight of the rendered error")
    mask_weight: Weight = Field(description="weight of the opacity error within the rendered error")
    rendered: Count = Field(description="objects of the batch that are rendered")
    rays: Count = Field(description="rays per target view")
    target_views: Count = Field(description="views rendered per object")
    checkpoint_every: Count = Field(description="steps between saved states")


class SuperResolutionSection(Section):
    """The 2D denoiser that sharpens one view."""

    objects: int = Field(description="objects of the batch it is trained on, all target views of each; 0: none", ge=0)
    crop: int = Field(
        description="side of the random crops it is trained on, px; a multiple of 2^levels and of a render's pixel",
        ge=8,
    )
    draws: Count = Field(description="noise levels that each rendered crop is trained at, per step")
    low_size: int = Field(description="side of the low-resolution render it starts from, px", ge=8, le=512)
    channels: list[Width] = Field(description="channels per level, finest first", min_length=1)
    blocks: Count = Field(description="residual blocks per level")
    learning_rate: Positive = Field(description="Adam's step size")
    weight: Weight = Field(description="weight of its error in the joint loss")
    noise_steps: int = Field(description="steps of the noise process", ge=2)
    schedule_shift: float = Field(
        description="added to the log signal-to-noise ratio (negative: noisier)", ge=-12, le=12
    )
    detail: Positive = Field(description="deviation of what the upsampled render lacks; images span [-1, 1]")
    render_noise_max: Share = Field(description="most noise of the grids it is trained on, share of the process")


class TrainingChanges(Partial, Training):
    __doc__ = Training.__doc__


class SuperResolutionChanges(Partial, SuperResolutionSection):
    __doc__ = SuperResolutionSection.__doc__


class OverCodes(Fast):
    """What rows over codes change, all alike."""

    superresolution: SuperResolutionChanges = Field(description="keys of superresolution")


class TrainingOverrides(Partial):
    """What a row with a training of its own changes."""

    training: TrainingChanges = Field(description="keys of training")
    superresolution: SuperResolutionChanges = Field(description="keys of superresolution")


class LinearOverrides(Partial):
    """What the row whose denoiser sees the linear estimate alone changes."""

    code_denoiser: CodeDenoiserChanges = Field(description="keys of code_denoiser")
    code_training: CodeTrainingChanges = Field(description="keys of code_training")
    code_sampling: CodeSamplingChanges = Field(description="keys of code_sampling")


class Params(Section):
    """params.yaml: every setting of the pipeline."""

    preset: Name = Field(description="name of the preset; an overlay config/<preset>.yaml sets its own")
    categories: list[Name] = Field(description="object categories; one model each", min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(description="training seeds; one run each", min_length=1)
    methods: list[Name] = Field(description="rows of the table", min_length=1)
    threads: Threads
    dataset: Dataset
    download: Download
    synthetic: Synthetic
    volume: Volume
    rendering: Rendering
    encoder: Encoder
    warmup: Warmup
    parallel: Parallel
    refinement: Refinement
    reconstruction: Reconstruction
    codes: Codes
    estimates: EstimatesSection
    code_denoiser: CodeDenoiser
    code_training: CodeTraining
    denoiser: Denoiser
    training: Training
    superresolution: SuperResolutionSection
    sampling: Sampling
    code_sampling: CodeSampling
    superresolution_sampling: SuperResolutionSampling
    hypotheses: Hypotheses
    distillation: Distillation
    fast: Fast
    surface_fusion: SurfaceFusion
    feedforward: FeedForward
    holofusion: DistillationOverrides = Field(description="what this row changes")
    holofusion_mse: DistillationOverrides = Field(description="what this row changes")
    holofusion_sds: DistillationOverrides = Field(description="what this row changes")
    holodiffusion_nobootstrap: TrainingOverrides = Field(description="what this row changes")
    over_codes: OverCodes
    code_fusion: DistillationOverrides = Field(description="what this row changes")
    code_fusion_mse: DistillationOverrides = Field(description="what this row changes")
    code_fusion_sds: DistillationOverrides = Field(description="what this row changes")
    code_fusion_mesh: DistillationOverrides = Field(description="what this row changes")
    code_fusion_mesh_mse: DistillationOverrides = Field(description="what this row changes")
    code_fusion_linear: LinearOverrides = Field(description="what this row changes")
    local_estimate: LocalEstimateOverrides = Field(description="what this row changes")
    adversarial: Adversarial
    pigan: PiGanSection
    graf: GrafSection
    graf_whole: GrafOverrides = Field(description="what this row changes")
    eg3d: EG3DSection
    get3d: GET3DSection
    sds: ScoreDistillationSection
    stable_dreamfusion: StableDreamFusionSection
    magic3d: Magic3DSection
    magic3d_sds: Magic3DOverrides = Field(description="what this row changes")
    stable_magic3d: Magic3DOverrides = Field(description="what this row changes")
    external: External
    render: Render
    mesh: Mesh
    mesh_files: MeshFiles
    intervals: Intervals
    evaluation: Evaluation
    consistency: Consistency
    geometry: Geometry
    curve: Curve
    ladder: LadderSection
    report: Report
