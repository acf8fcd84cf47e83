"""Functions that methods over codes share: take over training codes, draw codes from noise, make scenes of codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from holofusion.codes.space import CodeSpace
from holofusion.config.codes import Codes, CodeSampling, Reconstruction
from holofusion.config.params import Volume
from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample
from holofusion.methods.base import TrainingInputs
from holofusion.rendering.grids import PlainDecoder
from holofusion.rendering.plain import DENSITY_SCALE, EMPTY, EXTENT
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.utils.files import UserError
from holofusion.utils.random import generator_for

VIEW_SAMPLES = 2  # points per ray of a finished view, for each of those of a reconstruction


def space_of(volume: Volume, reconstruction: Reconstruction, codes: Codes) -> CodeSpace:
    """The space of the codes that these settings give."""
    return CodeSpace(volume, codes, reconstruction.resolution // codes.block)


def training_codes(space: CodeSpace, inputs: TrainingInputs) -> Tensor:
    """Standardised codes (N, numbers, m, m, m) of the training objects; the space is set by them.

    Raises UserError where there are none, or of other data.
    """
    if inputs.codes is None:
        raise UserError("--codes: this method trains on the objects' codes; name their folder")
    return space.take(inputs.codes.train, inputs.codes.decoder, inputs.data.train)


def drawn_code(
    denoise: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    space: CodeSpace,
    seed: int,
    section: CodeSampling,
) -> Tensor:
    """The standardised code (1, numbers, m, m, m) of one sample seed."""
    generator = generator_for("coarse", seed)
    noise = torch.randn((1, *space.shape), generator=generator).to(space.mean.device)
    return sample(denoise, schedule, noise, section.steps, generator if section.sampler == "ddpm" else None)


def scene_of(space: CodeSpace, code: Tensor, reconstruction: Reconstruction) -> VoxelScene:
    """The decoded scene of a standardised code (1, numbers, m, m, m)."""
    return plain_scene(space.decode(code), reconstruction)


def plain_scene(grid: Tensor, reconstruction: Reconstruction) -> VoxelScene:
    """The scene of a plain grid (1, 4, n, n, n)."""
    facts = VoxelFacts(
        extent=EXTENT,
        density_scale=DENSITY_SCALE,
        precision="fp32",
        coarse_samples=VIEW_SAMPLES * reconstruction.samples,
        importance_samples=0,
        empty_density=EMPTY,
    )
    return VoxelScene(grid, PlainDecoder(DENSITY_SCALE), facts)
