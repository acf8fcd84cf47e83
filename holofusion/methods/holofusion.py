"""Joint training of the 3D denoiser and the 2D super-resolution denoiser (HoloFusion, stage 1).

Also trains the ablation without the bootstrap and without super-resolution: the same class, other settings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holofusion.methods.holodiffusion import HoloDiffusion, photometric_error
from holofusion.methods.superresolution import SuperResolution
from holofusion.rendering.grids import DenseField
from holofusion.rendering.volume import render_rays
from holofusion.training.batches import ViewBatch
from holofusion.training.precision import autocast


class HoloFusion(nn.Module):
    """The 3D denoiser D_theta and, if `superresolution.images` > 0, the 2D denoiser D_beta, in one training step."""

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings
        self.coarse = HoloDiffusion(settings)
        self.superresolution = SuperResolution(settings) if settings.superresolution.images else None
        self.objects_per_batch = settings.training.batch
        self.views_per_object = settings.training.target_views
        self.grids: dict[str, Tensor] = {}

    def prepare(self, names: list[str], grids: Tensor, decoder: dict[str, Tensor]) -> None:
        """Take over the warm-up's result: pooled grids of the training objects, and the decoder's weights."""
        self.coarse.decoder.load_state_dict(decoder)
        self.grids = dict(zip(names, self.coarse.standardise_by(grids), strict=True))

    def parameter_groups(self) -> list[dict]:
        training = self.settings.training
        groups = [
            {"params": list(self.coarse.unet.parameters()), "lr": training.learning_rate},
            {"params": list(self.coarse.decoder.parameters()), "lr": training.learning_rate * training.decoder_rate},
        ]
        if self.superresolution:
            groups.append(
                {"params": list(self.superresolution.parameters()), "lr": self.settings.superresolution.learning_rate}
            )
        return groups

    def predict_clean(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, int]:
        """x_0 predictions for a batch of clean standardised grids, noised at random t.

        The first objects of the batch (share `training.bootstrap`) take the bootstrap: the prediction is noised at a new
        t and denoised again, without stopping gradients, so that the denoiser also sees grids of its own making. The
        last `superresolution.images` objects get little noise: their renders are what the sampler ends with, and
        what super-resolution has to expect. Returns predictions and the number of bootstrapped objects.
        """
        steps = self.coarse.schedule.steps
        t = torch.randint(steps, (len(clean),), generator=generator)
        if self.superresolution:
            count = self.settings.superresolution.images
            limit = max(1, round(self.settings.superresolution.render_noise_max * steps))
            t[-count:] = torch.randint(limit, (count,), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        predicted = self.coarse.denoise(self.coarse.schedule.add_noise(clean, noise, t), t)
        bootstrapped = round(self.settings.training.bootstrap * len(clean))
        if bootstrapped:
            again = torch.randint(steps, (bootstrapped,), generator=generator)
            noise = torch.randn(clean[:bootstrapped].shape, generator=generator).to(clean.device)
            noisy = self.coarse.schedule.add_noise(predicted[:bootstrapped], noise, again)
            predicted = torch.cat([self.coarse.denoise(noisy, again), predicted[bootstrapped:]])
        return predicted, bootstrapped

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Photometric errors of the low-resolution render and of the super-resolved image, and the grid error while it lasts."""
        training = self.settings.training
        clean = torch.stack([self.grids[name] for name in batch.names])
        predicted, _ = self.predict_clean(clean, generator)
        grid_error = (predicted - clean).square().mean()
        first = slice(0, training.rendered)
        grids = self.coarse.restore(predicted)
        rgb, opacity = photometric_error(
            self.settings, grids[first], self.coarse.decoder, batch.objects(first), training.rays, generator
        )
        losses = {"grid": grid_error, "photometric": rgb, "opacity": opacity}
        photometric = training.photometric_weight * (rgb + training.mask_weight * opacity)
        anchored = step < training.grid_until * training.steps
        losses["loss"] = training.grid_weight * anchored * grid_error + photometric
        if self.superresolution:
            last = slice(len(clean) - self.settings.superresolution.images, len(clean))
            views = batch.objects(last).views(slice(0, 1))
            low = self.render_low(grids[last], views, generator)
            losses["superresolution"] = self.superresolution.training_step(views.images[:, 0], low, generator)
            losses["loss"] = losses["loss"] + self.settings.superresolution.weight * losses["superresolution"]
        return losses

    def render_low(self, grids: Tensor, views: ViewBatch, generator: torch.Generator | None) -> Tensor:
        """One low-resolution view per object: grids (B, C, n, n, n) -> colour and opacity (B, 4, s, s), with gradients."""
        return render_image(self.settings, DenseField(grids, self.coarse.decoder, self.settings.volume.extent), views.cameras,
                            self.settings.superresolution.low_size, generator)  # fmt: skip


def render_image(settings, field, cameras, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Colour and opacity (B, 4, size, size) of B fields (or one) seen by B cameras."""
    origins, directions = cameras.rays(size)
    with autocast(origins.device, settings.volume.precision):
        rendered = render_rays(
            field, origins, directions, settings.volume.extent,
            settings.rendering.coarse_samples, settings.rendering.importance_samples, generator,
        )  # fmt: skip
    pixels = torch.cat([rendered.rgb, rendered.alpha[..., None]], -1)
    return pixels.transpose(1, 2).unflatten(2, (size, size))
