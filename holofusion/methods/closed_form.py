"""Rows in closed form, without training: a trained denoiser over codes has to beat them."""

from __future__ import annotations

import torch
from torch import Tensor

from holofusion.config.codes import Codes, CodeSampling, EstimatesSection, Reconstruction
from holofusion.config.params import Volume
from holofusion.diffusion.estimates import Estimates
from holofusion.diffusion.linear import LinearDenoiser
from holofusion.diffusion.local import Neighbourhood
from holofusion.diffusion.process import NoiseSchedule
from holofusion.methods.base import Method, TrainingInputs, given
from holofusion.methods.code_scenes import drawn_code, scene_of, space_of, training_codes
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.voxel import VoxelScene
from holofusion.utils.random import generator_for


class GaussianSamples(Method):
    """A Gaussian over the objects' codes: their mean, and independent coefficients along their principal directions."""

    steps = 0

    def __init__(
        self, volume: Volume, reconstruction: Reconstruction, codes: Codes, estimates: EstimatesSection
    ) -> None:
        super().__init__()
        self.reconstruction = reconstruction
        self.space = space_of(volume, reconstruction, codes)
        self.linear = LinearDenoiser(self.space.shape, estimates.rank)

    def prepare(self, inputs: TrainingInputs) -> None:
        self.linear.fit(training_codes(self.space, inputs))

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> VoxelScene:
        """One draw; variance beside the directions, which is none of any object, is left out."""
        variances = self.linear.variances
        draw = torch.randn(len(variances), generator=generator_for("coarse", request.seed)).to(variances.device)
        code = torch.einsum("k,kczyx->czyx", draw * variances.sqrt(), self.linear.directions)
        return scene_of(self.space, code[None], self.reconstruction)


class LocalSamples(Method):
    """Codes from noise with the linear estimate in strong noise, where the whole is decided, and the local one below.

    Samples are mosaics of training objects: sharp, and new in their combinations alone.
    """

    steps = 0

    def __init__(
        self,
        volume: Volume,
        reconstruction: Reconstruction,
        codes: Codes,
        estimates: EstimatesSection,
        code_sampling: CodeSampling | None = None,
    ) -> None:
        super().__init__()
        self.reconstruction, self.code_sampling = reconstruction, code_sampling
        self.space = space_of(volume, reconstruction, codes)
        self.schedule = NoiseSchedule(estimates.noise_steps, estimates.schedule_shift)
        self.estimates = Estimates(self.space.shape, estimates.rank, self.schedule)

    def prepare(self, inputs: TrainingInputs) -> None:
        self.estimates.fit(training_codes(self.space, inputs), folds=0)

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> VoxelScene:
        """One draw."""
        section = given(self.code_sampling, "code_sampling")

        def denoise(noisy: Tensor, t: Tensor) -> Tensor:
            return estimate_at(self.estimates, noisy, int(t[0]), section)

        code = drawn_code(denoise, self.schedule, self.space, request.seed, section)
        return scene_of(self.space, code, self.reconstruction)


def estimate_at(estimates: Estimates, noisy: Tensor, t: int, section: CodeSampling) -> Tensor:
    """The linear estimate at time step t, or the local one where t lies below `local_below` of the process."""
    if takes_local(estimates.schedule, t, section):
        return estimates.local_with(noisy, t, Neighbourhood(section.neighbourhood))
    return estimates.linear_at(noisy, t)


def takes_local(schedule: NoiseSchedule, t: int, section: CodeSampling) -> bool:
    """Whether the local estimate takes over at time step t."""
    return t <= section.local_below * (schedule.steps - 1) and section.local_below > 0
