"""Joint training of the 3D denoiser and the 2D super-resolution denoiser (HoloFusion, stage 1).

Also trains the ablation without the bootstrap and without super-resolution: the same class, other settings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from holofusion.config.params import Denoiser, Rendering, SuperResolutionSection, Training, Volume
from holofusion.config.sampling import Distillation, Hypotheses, Sampling, SuperResolutionSampling
from holofusion.data.batches import ViewBatch, pick_pixels, take_pixels
from holofusion.methods.base import TrainingInputs, given
from holofusion.methods.fusing import Fuses
from holofusion.methods.holodiffusion import HoloDiffusion, photometric_error
from holofusion.methods.superresolution import SuperResolution
from holofusion.rendering.grids import DenseField
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.utils.files import UserError
from holofusion.utils.precision import autocast


class HoloFusion(Fuses):
    """The 3D denoiser D_theta and, if `superresolution.objects` > 0, the 2D denoiser D_beta, in one training step.

    `sampling` is read to make coarse scenes, `superresolution_sampling` to super-resolve their views, `hypotheses` and
    `distillation` to fuse these; a training needs none of them.
    """

    switch = "superresolution.objects"
    grids: Tensor

    def __init__(
        self,
        volume: Volume,
        rendering: Rendering,
        denoiser: Denoiser,
        training: Training,
        superresolution: SuperResolutionSection,
        sampling: Sampling | None = None,
        superresolution_sampling: SuperResolutionSampling | None = None,
        hypotheses: Hypotheses | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.volume, self.rendering, self.training_section = volume, rendering, training
        self.superresolution_section, self.superresolution_sampling = superresolution, superresolution_sampling
        self.sampling, self.hypotheses, self.distillation = sampling, hypotheses, distillation
        self.coarse = HoloDiffusion(volume, denoiser)
        self.superresolution = SuperResolution(superresolution, volume.precision) if superresolution.objects else None
        self.objects_per_batch, self.views_per_object = training.batch, training.target_views
        self.steps, self.ema, self.checkpoint_every = training.steps, training.ema, training.checkpoint_every
        # standardised grids of the training objects, row by row of `names`: no weights, but they follow the module
        self.register_buffer("grids", torch.zeros(0), persistent=False)
        self.names: dict[str, int] = {}

    def prepare(self, inputs: TrainingInputs) -> None:
        """Take over the warm-up's result: refined grids of the training objects, and the decoder's weights.

        Raises UserError where there is no warm-up, or one of other data.
        """
        warmup, names = inputs.warmup, inputs.data.train
        if warmup is None:
            raise UserError("--warmup: this method trains on a warm-up; name its folder")
        if len(warmup.grids) != len(names):
            raise UserError(
                f"--warmup: holds grids of {len(warmup.grids)} objects, {inputs.data.folder} has {len(names)}; "
                "rerun the warm-up on this data"
            )
        self.coarse.decoder.load_state_dict(warmup.decoder)
        self.grids = self.coarse.standardise_by(warmup.grids)
        self.names = {name: row for row, name in enumerate(names)}

    def parameter_groups(self) -> list[dict[str, Any]]:
        training = self.training_section
        groups = [
            {"params": list(self.coarse.unet.parameters()), "lr": training.learning_rate},
            {"params": list(self.coarse.decoder.parameters()), "lr": training.learning_rate * training.decoder_rate},
        ]
        if self.superresolution is not None:
            rate = self.superresolution_section.learning_rate
            groups.append({"params": list(self.superresolution.parameters()), "lr": rate})
        return groups

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> VoxelScene:
        """The coarse scene of one seed, from noise."""
        sampling = given(self.sampling, "sampling")
        grid = self.coarse.sample_grid(request.seed, sampling.steps, sampling.sampler)
        return VoxelScene(grid, self.coarse.decoder, coarse_facts(self.volume, self.rendering))

    def predict_clean(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """x_0 predictions for clean standardised grids (B, C, n, n, n), noised at random t, and their mean squared error.

        The first objects of the batch (share `training.bootstrap`) take the bootstrap: the prediction is noised at a new
        t and denoised again, without stopping gradients, so that the denoiser also sees grids of its own making. Both
        passes count in the error; the last prediction is returned. The last `superresolution.objects` get little noise:
        their renders resemble what the sampler ends with, which is what super-resolution has to expect.
        """
        schedule = self.coarse.schedule
        t = torch.randint(schedule.steps, (len(clean),), generator=generator)
        if self.superresolution is not None:
            count = self.superresolution_section.objects
            limit = max(1, round(self.superresolution_section.render_noise_max * schedule.steps))
            t[-count:] = torch.randint(limit, (count,), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device, non_blocking=True)
        predicted = self.coarse.denoise(schedule.add_noise(clean, noise, t), t)
        errors = (predicted - clean).square().flatten(1).mean(1)
        bootstrapped = round(self.training_section.bootstrap * len(clean))
        if bootstrapped:
            t = torch.randint(schedule.steps, (bootstrapped,), generator=generator)
            noise = torch.randn(clean[:bootstrapped].shape, generator=generator).to(clean.device, non_blocking=True)
            again = self.coarse.denoise(schedule.add_noise(predicted[:bootstrapped], noise, t), t)
            errors = torch.cat([errors, (again - clean[:bootstrapped]).square().flatten(1).mean(1)])
            predicted = torch.cat([again, predicted[bootstrapped:]])
        return predicted, errors.mean()

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Photometric errors of the low-resolution render and of the super-resolved image, and the grid error while it lasts."""
        training = self.training_section
        clean = torch.stack([self.grids[self.names[name]] for name in batch.names])
        predicted, grid_error = self.predict_clean(clean, generator)
        first = slice(0, training.rendered)
        grids = self.coarse.restore(predicted)
        field = DenseField(grids[first], self.coarse.decoder, self.volume.extent)
        rgb, opacity = photometric_error(
            field, batch.objects(first), training.rays, self.rendering, self.volume.precision, generator
        )
        losses = {"grid": grid_error, "photometric": rgb, "opacity": opacity}
        photometric = training.photometric_weight * (rgb + training.mask_weight * opacity)
        anchored = step < training.grid_until * training.steps
        losses["loss"] = training.grid_weight * anchored * grid_error + photometric
        if self.superresolution is not None:
            last = slice(len(clean) - self.superresolution_section.objects, len(clean))
            views = batch.objects(last)
            sharp, low = self.crops(grids[last].repeat_interleave(views.images.shape[1], 0), views, generator)
            losses["superresolution"] = self.superresolution.training_step(sharp, low, generator)
            losses["loss"] = losses["loss"] + self.superresolution_section.weight * losses["superresolution"]
        return losses

    def crops(self, grids: Tensor, views: ViewBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random crop of every view, on its object, and the render of its grid there.

        grids (N, C, n, n, n), one per view. Returns images (N, 3, c, c) in [0, 1], c = `superresolution.crop`, and colour
        and opacity (N, 4, c / f, c / f) at f times lower resolution, with gradients.
        """
        size, side = self.superresolution_section.low_size, self.superresolution_section.crop
        factor = views.images.shape[-1] // size
        rows, columns = crop_windows(views.resized(size).masks.flatten(0, 1), side // factor, generator)
        inside = torch.arange(side, device=rows.device)
        # by index: the host need not know where the windows are
        window = _pixels_of(factor * rows[:, :1] + inside, factor * columns[:, :1] + inside, views.images.shape[-1])
        sharp = take_pixels(views.images.flatten(0, 1), window).transpose(1, 2).unflatten(2, (side, side))
        pixels = _pixels_of(rows, columns, size)
        field = DenseField(grids, self.coarse.decoder, self.volume.extent)
        samples = (self.rendering.coarse_samples, self.rendering.importance_samples)
        with autocast(grids.device, self.volume.precision):
            rendered = render_rays(field, Rays.through(views.cameras, size, pixels), *samples, generator)
        low = torch.cat([rendered.rgb, rendered.alpha[..., None]], -1)
        return sharp, low.transpose(1, 2).unflatten(2, (side // factor, side // factor))


def crop_windows(masks: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows and columns (N, side) of a random window of masks (N, 1, S, S) each, around a pixel drawn mostly on the object."""
    size = masks.shape[-1]
    around = pick_pixels(masks, 1, generator)
    shift = torch.randint(side, (len(masks), 2), generator=generator).to(masks.device, non_blocking=True)
    corner = torch.cat([around // size, around % size], 1) - shift
    window = corner.clamp(0, size - side)[:, :, None] + torch.arange(side, device=masks.device)
    return window[:, 0], window[:, 1]


def _pixels_of(rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """Flat indices (N, h w) of the pixels of images of side `size` that rows (N, h) and columns (N, w) cross at."""
    return (rows[:, :, None] * size + columns[:, None, :]).flatten(1)


def coarse_facts(volume: Volume, rendering: Rendering) -> VoxelFacts:
    """What coarse scenes need beside their tensors."""
    return VoxelFacts(
        extent=volume.extent,
        density_scale=volume.density_scale,
        precision=volume.precision,
        coarse_samples=rendering.occupied_samples,
        importance_samples=0,
        empty_density=rendering.empty_density,
    )
