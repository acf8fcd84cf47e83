"""Settings of the baselines: pi-GAN, GRAF, EG3D, GET3D, score distillation, Magic3D, and pictures made elsewhere."""

from __future__ import annotations

from pydantic import Field

from holofusion.config.section import Count, Partial, Positive, Section, Share, Weight, Width


class Adversarial(Section):
    """What the methods with a discriminator share."""

    batch: int = Field(description="images per step, each of another object", ge=2)
    width: Width = Field(
        description="channels of the discriminator at full size; doubled at each halving, up to 8 times"
    )
    learning_rate: Positive = Field(description="Adam's step size for the discriminator")
    r1_every: Count = Field(description="steps between R1 penalties, each counted that many times")
    augmentation: Share = Field(description="strength of the differentiable augmentation of all images; 0: none")
    ema: float = Field(description="decay of the running average of the weights, per step", ge=0, lt=1)
    checkpoint_every: Count = Field(description="steps between saved states")


class PiGanSection(Section):
    """pi-GAN: a FiLM-SIREN radiance field against a progressive discriminator."""

    steps: Count = Field(description="training steps")
    image_size: int = Field(description="side of the images at the end of training, px; a power of 2", ge=8, le=256)
    doublings: int = Field(description="times that side doubles during training", ge=0)
    latent: Count = Field(description="numbers in a latent code")
    width: Count = Field(description="units per layer of the field and of the mapping network")
    layers: Count = Field(description="layers before the density; one more follows for colour")
    coarse_samples: Count = Field(description="evenly spaced points per ray")
    importance_samples: int = Field(description="further points per ray, where the first met density", ge=0)
    learning_rate: Positive = Field(description="Adam's step size for the generator")
    r1: Weight = Field(description="weight (gamma) of the R1 penalty on real images")


class GrafSection(Section):
    """GRAF: a conditional radiance field against a discriminator of patches."""

    steps: Count = Field(description="training steps")
    image_size: int = Field(description="side of the images that real patches are taken from, px", ge=8, le=256)
    patch: int = Field(description="rays per side of a patch; a power of 2", ge=8, le=128)
    scale_start: float = Field(
        description="least share of the picture's side that a patch spans at the start of training", gt=0, le=1
    )
    scale_end: float = Field(description="the same, once the schedule has fallen so far; 1: whole images", gt=0, le=1)
    latent: int = Field(
        description="numbers in a latent code; one half is for shape, the other for appearance", ge=2, multiple_of=2
    )
    width: int = Field(description="units per layer of the field", ge=2, multiple_of=2)
    layers: int = Field(description="layers before the density", ge=2)
    position_bands: int = Field(description="frequencies of the encoded position", ge=0, le=16)
    direction_bands: int = Field(description="frequencies of the encoded direction", ge=0, le=16)
    samples: Count = Field(description="evenly spaced points per ray")
    learning_rate: Positive = Field(description="Adam's step size for the generator")
    r1: Weight = Field(description="weight (gamma) of the R1 penalty on real patches")


class GrafChanges(Partial, GrafSection):
    __doc__ = GrafSection.__doc__


class GrafOverrides(Partial):
    """What the row with whole images in place of patches changes."""

    graf: GrafChanges = Field(description="keys of graf")


class EG3DSection(Section):
    """EG3D: StyleGAN2 tri-planes, rendered to features and upsampled, against a dual discriminator."""

    steps: Count = Field(description="training steps")
    raw_size: int = Field(
        description="side of the rendered feature image, px; images are 4 times as large; a power of 2", ge=4, le=128
    )
    latent: Count = Field(description="numbers in a latent code, and in a style")
    plane_resolution: int = Field(description="side of each plane; a power of 2", ge=8, le=256)
    features: Count = Field(description="features per plane")
    width: Count = Field(
        description="channels of the backbone at full resolution; doubled at each halving, up to 8 times"
    )
    channels: int = Field(description="channels of the rendered feature image; the first three are colour", ge=3)
    upsampler_width: int = Field(description="channels of the super-resolution module", ge=2, multiple_of=2)
    coarse_samples: Count = Field(description="evenly spaced points per ray")
    importance_samples: int = Field(description="further points per ray, where the first met density", ge=0)
    learning_rate: Positive = Field(description="Adam's step size for the generator")
    r1: Weight = Field(description="weight (gamma) of the R1 penalty on real images")
    density_weight: Weight = Field(description="weight of the density regularisation")
    pose_conditioning: bool = Field(description="whether the generator is told a camera, its own or another's")


class GET3DSection(Section):
    """GET3D: textured meshes by marching tetrahedra, against a colour and a mask discriminator."""

    steps: Count = Field(description="training steps")
    batch: int = Field(description="images per step, each of another object", ge=2)
    image_size: int = Field(description="side of the images in training, px; a power of 2", ge=8, le=512)
    cells: int = Field(description="cubes per side of the tetrahedral grid", ge=4, le=128)
    latent: Count = Field(description="numbers in each of the two latent codes")
    plane_resolution: int = Field(description="side of each plane; a power of 2", ge=8, le=256)
    features: Count = Field(description="features per plane")
    width: Count = Field(
        description="channels of each backbone at full resolution; doubled at each halving, up to 8 times"
    )
    learning_rate: Positive = Field(description="Adam's step size for the generator")
    r1: Weight = Field(description="weight (gamma) of the R1 penalty on real images")
    distance_weight: Weight = Field(description="weight of the cross-entropy of signs across the surface")


class ScoreDistillationSection(Section):
    """Score distillation from scratch, guided by a 2D denoiser of the category's images."""

    steps: Count = Field(description="training steps of the guide")
    batch: int = Field(description="images per step of the guide, each of another object", ge=2)
    ema: float = Field(description="decay of the running average of the guide's weights, per step", ge=0, lt=1)
    checkpoint_every: Count = Field(description="steps between saved states of the guide")
    learning_rate: Positive = Field(description="Adam's step size for the guide")
    image_size: int = Field(description="side of the guide's images, px; a multiple of 2^levels", ge=8, le=256)
    channels: list[Width] = Field(description="channels of the guide per level, finest first", min_length=1)
    blocks: Count = Field(description="residual blocks per level")
    noise_steps: int = Field(description="steps of the noise process", ge=2)
    schedule_shift: float = Field(
        description="added to the log signal-to-noise ratio (negative: noisier)", ge=-12, le=12
    )
    noise_min: Share = Field(description="least noise of score distillation, share of the process")
    noise_max: Share = Field(description="most noise of score distillation, share of the process")
    resolution: int = Field(description="voxels per side of a scene's grid", ge=8)
    scene_steps: Count = Field(description="optimisation steps per scene")
    views: Count = Field(description="views rendered per step")
    grid_rate: Positive = Field(description="Adam's step size for the grid")
    smoothness: Weight = Field(description="weight of the squared difference of neighbouring voxels")
    coarse_samples: Count = Field(description="evenly spaced points per ray")
    importance_samples: int = Field(description="further points per ray, where the first met density", ge=0)


class StableDreamFusionSection(Section):
    """Score distillation guided by Stable Diffusion, from a folder; scenes and noise range are those of `sds`."""

    folder: str | None = Field(
        description="folder of a Stable Diffusion pipeline (model_index.json); null: no such row"
    )
    prompt: str = Field(description="what to make; {category} stands for the category, the view is added", min_length=1)
    guidance: Positive = Field(description="weight of what the prompt adds to the prediction")
    image_size: int = Field(description="side of the images the pipeline encodes, px", ge=8, multiple_of=8)


class Magic3DSection(Section):
    """Magic3D's second stage, after that of `sds`: a mesh, pulled by a guide of finer images. Views per step are those of sds."""

    image_size: int = Field(
        description="side of the finer guide's images, px; a multiple of 2^levels of sds.channels, at least sds.image_size",
        ge=8,
        le=1024,
    )
    noise_min: Share = Field(description="least noise of its score distillation, share of the process")
    noise_max: Share = Field(description="most noise of its score distillation, share of the process")
    cells: int = Field(description="cubes per side of the tetrahedral grid", ge=4, le=128)
    resolution: int = Field(description="voxels per side of the grid of colours", ge=8)
    steps: Count = Field(description="optimisation steps per scene")
    learning_rate: Positive = Field(description="Adam's step size for the colours")
    vertex_rate: Positive = Field(
        description="Adam's step size for signed distances, in cells, and for vertices' shifts, in half cells"
    )
    normal_weight: Weight = Field(description="weight of neighbouring faces being turned against each other")


class ScoreDistillationChanges(Partial, ScoreDistillationSection):
    __doc__ = ScoreDistillationSection.__doc__


class Magic3DOverrides(Partial):
    """What a row with two stages changes in its first."""

    sds: ScoreDistillationChanges = Field(description="keys of sds")


class External(Section):
    """Views made elsewhere, scored as the row `external`: for those who run the authors' own code."""

    folder: str | None = Field(description="folder that holds CATEGORY/cameras.json and its PNGs; null: no such row")
