"""Settings of the grids that methods over codes learn from: reconstructions of single objects, and their codes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holofusion.config.section import Count, Partial, Positive, Section, Share, Weight, Width


class Reconstruction(Section):
    """A fine grid of density and colour per object, from its photographs and masks."""

    resolution: int = Field(description="voxels per side; a multiple of 4 and of codes.block", ge=8, multiple_of=4)
    free_steps: Count = Field(description="optimisation steps from fog, coarse to fine")
    tuned_steps: Count = Field(description="steps after the grid was made canonical")
    rays: Count = Field(description="rays per step")
    samples: Count = Field(description="points per ray, on the stretch that is not empty")
    free_rate: Positive = Field(description="Adam's step size from fog")
    tuned_rate: Positive = Field(description="Adam's step size afterwards")


class Codes(Section):
    """Codes of these grids: a few numbers per block of voxels, which a small network decodes."""

    block: int = Field(description="voxels per side of a block", ge=1)
    numbers: Count = Field(description="numbers per block; at most 4 block^3, which loses nothing")
    decoder_width: Width = Field(description="channels of the decoder's hidden layers")
    steps: int = Field(description="training steps of the decoder; 0: it stays linear", ge=0)
    objects: Count = Field(description="objects per step")
    views: Count = Field(description="photographs of each object per step")
    rays: Count = Field(description="rays per object and step")
    samples: Count = Field(description="points per ray, on the stretch that is not empty")
    learning_rate: Positive = Field(description="Adam's step size of the decoder")
    ema: float = Field(description="decay of the running average of its weights, per step", ge=0, lt=1)
    noise: Weight = Field(description="noise added to codes, share of each number's deviation")
    tuned_steps: int = Field(
        description="steps on each object's code, both before and after the decoder is trained; 0: none", ge=0
    )
    tuned_rate: Positive = Field(description="Adam's step size there, share of each number's deviation")
    pull: Weight = Field(description="weight of the squared shift of a code from where it started, in deviations")
    checkpoint_every: Count = Field(description="steps between saved states")


class EstimatesSection(Section):
    """Estimates of clean codes in closed form, linear and local, and the noise of codes."""

    rank: Count = Field(description="principal directions over objects of the linear estimate")
    folds: int = Field(
        description="parts of the objects; in training an estimate does not know the part asked for", ge=2
    )
    chosen_on: Count = Field(description="objects on which neighbourhood and blend are chosen, per noise level")
    noise_steps: int = Field(description="steps of the noise process", ge=2)
    schedule_shift: float = Field(
        description="added to the log signal-to-noise ratio (negative: noisier)", ge=-12, le=12
    )


class CodeDenoiser(Section):
    """The 3D U-Net over codes, which corrects these estimates."""

    estimates: Literal["both", "linear"] = Field(
        description="what it sees beside noisy codes, and corrects: the blend of both estimates, or the linear one"
    )
    channels: list[Width] = Field(description="channels per level, finest first", min_length=1)
    blocks: Count = Field(description="residual blocks per level")


class CodeTraining(Section):
    """Joint training of the denoiser over codes and the super-resolution."""

    steps: Count = Field(description="training steps")
    batch: Count = Field(description="objects per step")
    learning_rate: Positive = Field(description="Adam's step size for the denoiser")
    ema: float = Field(description="decay of the running average of the weights, per step", ge=0, lt=1)
    weakest: Share = Field(description="least noise it is trained at, share of the process")
    crops: int = Field(description="crops of photographs that super-resolution is trained on, per step; 0: none", ge=0)
    checkpoint_every: Count = Field(description="steps between saved states")


class CodeSampling(Section):
    """Codes from noise."""

    steps: Count = Field(description="denoising steps; at most estimates.noise_steps are taken")
    sampler: Literal["ddpm", "ddim"] = Field(description="ddpm: noise at every step; ddim: none")
    local_below: Share = Field(description="share of the process below which the local estimate takes over; 0: never")
    neighbourhood: int = Field(description="positions of the side of its neighbourhood there, odd", ge=1)


class CodeSamplingChanges(Partial, CodeSampling):
    __doc__ = CodeSampling.__doc__


class CodeDenoiserChanges(Partial, CodeDenoiser):
    __doc__ = CodeDenoiser.__doc__


class CodeTrainingChanges(Partial, CodeTraining):
    __doc__ = CodeTraining.__doc__


class LocalEstimateOverrides(Partial):
    """What a row from noise with nothing but estimates changes."""

    code_sampling: CodeSamplingChanges = Field(description="keys of code_sampling")
