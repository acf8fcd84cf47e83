"""Settings of training and sampling, row by row: the sections that each reads."""

from __future__ import annotations

from holofusion.config.baselines import (
    Adversarial,
    EG3DSection,
    GET3DSection,
    GrafSection,
    Magic3DSection,
    PiGanSection,
    ScoreDistillationSection,
    StableDreamFusionSection,
)
from holofusion.config.codes import (
    CodeDenoiser,
    Codes,
    CodeSampling,
    CodeTraining,
    EstimatesSection,
    Reconstruction,
)
from holofusion.config.params import (
    Denoiser,
    Parallel,
    Rendering,
    SuperResolutionSection,
    Training,
    Volume,
)
from holofusion.config.sampling import (
    Distillation,
    FeedForward,
    Hypotheses,
    Sampling,
    SuperResolutionSampling,
    SurfaceFusion,
)
from holofusion.config.steps import StepSettings


class TrainSettings(StepSettings):
    """Of a training: what all methods have. Each has a class of its own, which adds what it is built from."""

    parallel: Parallel
    volume: Volume


class HoloFusionTrainSettings(TrainSettings):
    """Of training the 3D denoiser together with the super-resolution."""

    rendering: Rendering
    denoiser: Denoiser
    training: Training
    superresolution: SuperResolutionSection


class EstimatesTrainSettings(TrainSettings):
    """Of rows that are drawn from estimates of codes in closed form; nothing is trained for these."""

    reconstruction: Reconstruction
    codes: Codes
    estimates: EstimatesSection


class CodeFusionTrainSettings(EstimatesTrainSettings):
    """Of training the denoiser over codes together with the super-resolution."""

    code_denoiser: CodeDenoiser
    code_training: CodeTraining
    superresolution: SuperResolutionSection


class FeedForwardTrainSettings(CodeFusionTrainSettings):
    """Of training the network that fuses hypotheses in one pass; those of what it takes over are among them."""

    superresolution_sampling: SuperResolutionSampling
    hypotheses: Hypotheses
    feedforward: FeedForward


class PiGanTrainSettings(TrainSettings):
    """Of training pi-GAN."""

    adversarial: Adversarial
    pigan: PiGanSection


class GrafTrainSettings(TrainSettings):
    """Of training GRAF."""

    adversarial: Adversarial
    graf: GrafSection


class EG3DTrainSettings(TrainSettings):
    """Of training EG3D."""

    adversarial: Adversarial
    eg3d: EG3DSection


class GET3DTrainSettings(TrainSettings):
    """Of training GET3D."""

    adversarial: Adversarial
    get3d: GET3DSection


class ScoreDistillationTrainSettings(TrainSettings):
    """Of training the guide of score distillation."""

    sds: ScoreDistillationSection


class StableDreamFusionTrainSettings(TrainSettings):
    """Of the row whose guide is Stable Diffusion, and is not trained."""

    sds: ScoreDistillationSection
    stable_dreamfusion: StableDreamFusionSection


class Magic3DTrainSettings(ScoreDistillationTrainSettings):
    """Of training two guides of score distillation, the second for finer images."""

    magic3d: Magic3DSection


class StableMagic3DTrainSettings(StableDreamFusionTrainSettings):
    """Of the row of two stages whose guide is Stable Diffusion."""

    magic3d: Magic3DSection


class SampleSettings(StepSettings):
    """Of making scenes: what all methods have. Each way of making them has a class of its own."""

    sampling: Sampling
    volume: Volume


class NoiseSampleSettings(SampleSettings):
    """Of the coarse scenes of HoloFusion's family, from noise."""

    rendering: Rendering
    denoiser: Denoiser


class EstimatesSampleSettings(SampleSettings):
    """Of scenes drawn from estimates of codes."""

    reconstruction: Reconstruction
    codes: Codes
    estimates: EstimatesSection
    code_sampling: CodeSampling


class CodeSampleSettings(EstimatesSampleSettings):
    """Of scenes decoded from codes that the denoiser makes of noise."""

    code_denoiser: CodeDenoiser


class CoarseSampleSettings(SampleSettings):
    """Of scenes that are coarse ones with every view super-resolved."""

    rendering: Rendering
    superresolution: SuperResolutionSection
    superresolution_sampling: SuperResolutionSampling


class HypothesesSampleSettings(CoarseSampleSettings):
    """Of scenes distilled from hypotheses."""

    distillation: Distillation


class SurfaceSampleSettings(HypothesesSampleSettings):
    """Of meshes fused from hypotheses."""

    surface_fusion: SurfaceFusion


class FeedForwardSampleSettings(CoarseSampleSettings):
    """Of scenes fused from hypotheses in one pass."""

    feedforward: FeedForward


class PiGanSampleSettings(SampleSettings):
    """Of pi-GAN's scenes."""

    adversarial: Adversarial
    pigan: PiGanSection


class GrafSampleSettings(SampleSettings):
    """Of GRAF's scenes."""

    adversarial: Adversarial
    graf: GrafSection


class EG3DSampleSettings(SampleSettings):
    """Of EG3D's scenes."""

    adversarial: Adversarial
    eg3d: EG3DSection


class GET3DSampleSettings(SampleSettings):
    """Of GET3D's scenes."""

    adversarial: Adversarial
    get3d: GET3DSection


class ScoreDistillationSampleSettings(SampleSettings):
    """Of scenes optimised against the guide."""

    sds: ScoreDistillationSection


class StableDreamFusionSampleSettings(SampleSettings):
    """Of scenes optimised against Stable Diffusion."""

    sds: ScoreDistillationSection
    stable_dreamfusion: StableDreamFusionSection


class Magic3DSampleSettings(ScoreDistillationSampleSettings):
    """Of meshes optimised against the finer guide, from scenes optimised against the other."""

    magic3d: Magic3DSection


class StableMagic3DSampleSettings(StableDreamFusionSampleSettings):
    """Of meshes optimised against Stable Diffusion, from scenes optimised against it."""

    magic3d: Magic3DSection
