"""Settings of sampling: coarse scenes, their super-resolved views, and distillation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holofusion.config.section import Count, Partial, Positive, Section, Share, Weight


class Sampling(Section):
    """Coarse scenes from noise."""

    scenes: Count = Field(description="scenes per run; scene k comes from seed k")
    shards: Count = Field(description="jobs the scenes are divided among; a scene does not depend on its shard")
    steps: Count = Field(description="denoising steps; at most denoiser.noise_steps are taken")
    sampler: Literal["ddpm", "ddim"] = Field(description="ddpm: noise at every step; ddim: none")


class SuperResolutionSampling(Section):
    """Sampling from the super-resolution denoiser."""

    steps: Count = Field(description="denoising steps per sharpened view")
    sampler: Literal["ddpm", "ddim"] = Field(description="ddpm: noise at every step; ddim: none after the first")
    end: float = Field(
        description="noise level of the last of several predictions, as a share of the noise steps", ge=0, lt=1
    )


class Hypotheses(Section):
    """Super-resolved views from which a scene is distilled."""

    views: Count = Field(description="cameras per scene")
    count: Count = Field(description="hypotheses per camera (K of the paper: 5)")


class Distillation(Section):
    """Stage 2: one high-resolution radiance field from many super-resolved views."""

    mode: Literal["full", "fast"] = Field(
        description="full: starts from the coarse scene; fast: from it painted with all views at once, and then needs few "
        "steps; the keys of `fast` apply"
    )
    loss: Literal["patch_remix", "mse", "sds"] = Field(
        description="patch_remix is the paper's, the others are its ablations"
    )
    top_k: Count = Field(description="nearest hypotheses each patch is compared with; at most hypotheses.count")
    patch: int = Field(description="side of a patch, px", ge=2)
    patches: Count = Field(description="patches per step")
    resolution: int = Field(description="voxels per side of the high-resolution grid", ge=8)
    steps: Count = Field(description="optimisation steps per scene")
    learning_rate: Positive = Field(description="Adam's step size for the grid")
    gradient_floor: Positive = Field(description="Adam's epsilon: voxels with gradients below it move less")
    decoder_rate: Weight = Field(description="Adam's step size for its decoder")
    samples: Count = Field(description="points per ray, between the first and the last that is not empty")
    coarse_weight: Positive = Field(
        description="weight of the coarse scene's colours in painting; a voxel seen by one whole pixel weighs 1"
    )
    sds_noise_min: Share = Field(description="least noise of score distillation, share of the process")
    sds_noise_max: Share = Field(description="most noise of score distillation, share of the process")
    checkpoint_every: Count = Field(description="steps between saved states")


class SurfaceFusion(Section):
    """Stage 2 on a surface: one coloured mesh of the same views. Of `distillation` loss, top_k, patch, checkpoint_every count."""

    cells: int = Field(description="points per side of the grid that the coarse scene's surface is found on", ge=8)
    resolution: int = Field(description="voxels per side of the grid of colours", ge=8)
    steps: Count = Field(description="optimisation steps per scene, a view each")
    learning_rate: Positive = Field(description="Adam's step size for the colours")
    vertex_rate: Weight = Field(description="Adam's step size for the vertices, in cells")
    smoothness: Weight = Field(description="weight of vertices moving unlike their neighbours, squared cells")
    normal_weight: Weight = Field(description="weight of neighbouring faces being turned against each other")
    silhouette_weight: Weight = Field(description="weight of the opacity error against the coarse scene's")


class FeedForward(Section):
    """Stage 2 in one pass: a network that fuses the views, trained on hypotheses of training objects and their photographs."""

    resolution: int = Field(description="voxels per side of the high-resolution grid", ge=8)
    samples: Count = Field(description="points per ray, between the first and the last that is not empty")
    views: Count = Field(
        description="views that a voxel takes colours from, those that see it best; at most hypotheses.views"
    )
    width: Count = Field(description="channels of the network")
    objects: Count = Field(
        description="training objects whose hypotheses are drawn, and held in memory, before it is trained; at most all"
    )
    steps: Count = Field(description="training steps, an object each")
    photographs: Count = Field(description="photographs of the object per step")
    rays: Count = Field(description="rays per photograph")
    learning_rate: Positive = Field(description="Adam's step size")
    ema: float = Field(description="decay of the running average of the weights, per step", ge=0, lt=1)
    checkpoint_every: Count = Field(description="steps between saved states")


class FastSuperResolutionSampling(Partial, SuperResolutionSampling):
    __doc__ = SuperResolutionSampling.__doc__


class FastHypotheses(Partial, Hypotheses):
    __doc__ = Hypotheses.__doc__


class FastDistillation(Partial, Distillation):
    __doc__ = Distillation.__doc__


class DistillationChanges(Partial, Distillation):
    __doc__ = Distillation.__doc__


class Fast(Partial):
    """What `distillation.mode: fast` changes in the rows that are distilled."""

    superresolution_sampling: FastSuperResolutionSampling = Field(description="keys of superresolution_sampling")
    hypotheses: FastHypotheses = Field(description="keys of hypotheses")
    distillation: FastDistillation = Field(description="keys of distillation")


class DistillationOverrides(Partial):
    """What a row distilled from shared scenes changes."""

    distillation: DistillationChanges = Field(description="keys of distillation")
