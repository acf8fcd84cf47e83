"""HoloFusion over codes: the 3D denoiser and the 2D super-resolution, trained together; fusion of what they make.

Departs from the paper in what is denoised (codes of fine grids, in place of an encoder's features), and in that the renders
that super-resolution learns from are made beforehand, so that its gradients do not reach the 3D denoiser.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from holofusion.config.codes import (
    CodeDenoiser,
    Codes,
    CodeSampling,
    CodeTraining,
    EstimatesSection,
    Reconstruction,
)
from holofusion.config.params import SuperResolutionSection, Volume
from holofusion.config.sampling import Distillation, Hypotheses, SuperResolutionSampling, SurfaceFusion
from holofusion.data.batches import ViewBatch
from holofusion.diffusion.estimates import Estimates
from holofusion.diffusion.local import Neighbourhood
from holofusion.diffusion.process import NoiseSchedule
from holofusion.methods.base import TrainingInputs, given
from holofusion.methods.closed_form import takes_local
from holofusion.methods.code_denoiser import EstimateCorrector
from holofusion.methods.code_scenes import drawn_code, scene_of, space_of, training_codes
from holofusion.methods.fusing import Fuses
from holofusion.methods.pairs import RenderPairs
from holofusion.methods.superresolution import SuperResolution
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.voxel import VoxelScene


class CodeFusion(Fuses):
    """The denoiser over codes and, if `code_training.crops` > 0, the 2D denoiser.

    The sections with the default None are read in sampling alone. With `surface_fusion`, scenes are fused on a surface.
    """

    switch = "code_training.crops"

    def __init__(
        self,
        volume: Volume,
        reconstruction: Reconstruction,
        codes: Codes,
        estimates: EstimatesSection,
        code_denoiser: CodeDenoiser,
        code_training: CodeTraining,
        superresolution: SuperResolutionSection,
        code_sampling: CodeSampling | None = None,
        superresolution_sampling: SuperResolutionSampling | None = None,
        hypotheses: Hypotheses | None = None,
        distillation: Distillation | None = None,
        surface_fusion: SurfaceFusion | None = None,
    ) -> None:
        super().__init__()
        self.reconstruction, self.training_section, self.estimates_section = reconstruction, code_training, estimates
        self.superresolution_section, self.superresolution_sampling = superresolution, superresolution_sampling
        self.code_sampling, self.hypotheses, self.distillation = code_sampling, hypotheses, distillation
        self.surface_fusion = surface_fusion
        self.space = space_of(volume, reconstruction, codes)
        self.schedule = NoiseSchedule(estimates.noise_steps, estimates.schedule_shift)
        self.estimates = Estimates(self.space.shape, estimates.rank, self.schedule)
        self.denoiser = EstimateCorrector(self.space.shape, code_denoiser, volume.precision)
        self.superresolution = SuperResolution(superresolution, volume.precision) if code_training.crops else None
        self.objects_per_batch, self.views_per_object = code_training.batch, 1
        self.steps, self.ema = code_training.steps, code_training.ema
        self.checkpoint_every = code_training.checkpoint_every
        self.rows: dict[str, int] = {}
        self.pairs: RenderPairs | None = None

    def prepare(self, inputs: TrainingInputs) -> None:
        """Take over the objects' codes, choose how estimates are made, and render what super-resolution learns from."""
        section = self.estimates_section
        codes = training_codes(self.space, inputs)
        self.estimates.fit(codes, min(section.folds, len(codes)))
        if self.denoiser.both:
            self.estimates.choose(min(section.chosen_on, len(codes)))
        self.rows = {name: row for row, name in enumerate(inputs.data.train)}
        if self.superresolution is not None:
            sharp = self.superresolution_section
            samples = self.reconstruction.samples
            self.pairs = RenderPairs.of(
                inputs.data, self.space, self.estimates, sharp.low_size, samples, sharp.render_noise_max
            )

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = [{"params": list(self.denoiser.parameters()), "lr": self.training_section.learning_rate}]
        if self.superresolution is not None:
            rate = self.superresolution_section.learning_rate
            groups.append({"params": list(self.superresolution.parameters()), "lr": rate})
        return groups

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Error of codes denoised at one random noise level, and of super-resolved crops.

        All objects of a step share the level: their local estimates are then made at once.
        """
        numbers = torch.tensor([self.rows[name] for name in batch.names])
        left_out = numbers.to(self.estimates.codes.device, non_blocking=True)
        clean = self.estimates.codes[left_out].float()
        least = round(self.training_section.weakest * self.schedule.steps)
        t = int(torch.randint(min(least, self.schedule.steps - 1), self.schedule.steps, (1,), generator=generator))
        alpha, sigma = self.estimates.alpha_and_sigma(t)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device, non_blocking=True)
        predicted = self.denoiser(alpha * clean + sigma * noise, t, self.estimates, left_out)
        losses = {"codes": (predicted - clean).square().mean()}
        losses["loss"] = losses["codes"]
        if self.superresolution is not None and self.pairs is not None:
            section = self.superresolution_section
            sharp, low = self.pairs.crops(self.training_section.crops, section.crop, generator)
            losses["superresolution"] = self.superresolution.training_step(sharp, low, generator)
            losses["loss"] = losses["loss"] + section.weight * losses["superresolution"]
        return losses

    @torch.no_grad()
    def denoise(self, noisy: Tensor, t: Tensor) -> Tensor:
        """x_0 of noisy codes (B, C, m, m, m), all at the time step t (B,): by the network, or in weak noise locally."""
        section, now = given(self.code_sampling, "code_sampling"), int(t[0])
        if takes_local(self.schedule, now, section):
            return self.estimates.local_with(noisy, now, Neighbourhood(section.neighbourhood))
        return self.denoiser(noisy, now, self.estimates)

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> VoxelScene:
        """The decoded code of one seed, from noise."""
        section = given(self.code_sampling, "code_sampling")
        code = drawn_code(self.denoise, self.schedule, self.space, request.seed, section)
        return scene_of(self.space, code, self.reconstruction)
