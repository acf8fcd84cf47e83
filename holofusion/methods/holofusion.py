"""Joint training of the 3D denoiser and the 2D super-resolution denoiser (HoloFusion, stage 1).

Also trains the ablation without the bootstrap and without super-resolution: the same class, other settings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holofusion.data.batches import ViewBatch, pick_pixels
from holofusion.methods.holodiffusion import HoloDiffusion, photometric_error
from holofusion.methods.superresolution import SuperResolution
from holofusion.rendering.grids import DenseField
from holofusion.rendering.volume import render_rays
from holofusion.utils.precision import autocast


class HoloFusion(nn.Module):
    """The 3D denoiser D_theta and, if `superresolution.objects` > 0, the 2D denoiser D_beta, in one training step."""

    def __init__(self, settings) -> None:
        super().__init__()
        self.settings = settings
        self.coarse = HoloDiffusion(settings)
        self.superresolution = SuperResolution(settings) if settings.superresolution.objects else None
        self.objects_per_batch = settings.training.batch
        self.views_per_object = settings.training.target_views
        self.steps, self.ema = settings.training.steps, settings.training.ema
        self.checkpoint_every = settings.training.checkpoint_every
        self.grids: dict[str, Tensor] = {}

    def prepare(self, names: list[str], grids: Tensor, decoder: dict[str, Tensor]) -> None:
        """Take over the warm-up's result: refined grids of the training objects, and the decoder's weights."""
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

    def predict_clean(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """x_0 predictions for clean standardised grids (B, C, n, n, n), noised at random t, and their mean squared error.

        The first objects of the batch (share `training.bootstrap`) take the bootstrap: the prediction is noised at a new
        t and denoised again, without stopping gradients, so that the denoiser also sees grids of its own making. Both
        passes count in the error; the last prediction is returned. The last `superresolution.objects` get little noise:
        their renders resemble what the sampler ends with, which is what super-resolution has to expect.
        """
        schedule = self.coarse.schedule
        t = torch.randint(schedule.steps, (len(clean),), generator=generator)
        if self.superresolution:
            count = self.settings.superresolution.objects
            limit = max(1, round(self.settings.superresolution.render_noise_max * schedule.steps))
            t[-count:] = torch.randint(limit, (count,), generator=generator)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        predicted = self.coarse.denoise(schedule.add_noise(clean, noise, t), t)
        errors = (predicted - clean).square().flatten(1).mean(1)
        bootstrapped = round(self.settings.training.bootstrap * len(clean))
        if bootstrapped:
            t = torch.randint(schedule.steps, (bootstrapped,), generator=generator)
            noise = torch.randn(clean[:bootstrapped].shape, generator=generator).to(clean.device)
            again = self.coarse.denoise(schedule.add_noise(predicted[:bootstrapped], noise, t), t)
            errors = torch.cat([errors, (again - clean[:bootstrapped]).square().flatten(1).mean(1)])
            predicted = torch.cat([again, predicted[bootstrapped:]])
        return predicted, errors.mean()

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Photometric errors of the low-resolution render and of the super-resolved image, and the grid error while it lasts."""
        training = self.settings.training
        clean = torch.stack([self.grids[name] for name in batch.names])
        predicted, grid_error = self.predict_clean(clean, generator)
        first = slice(0, training.rendered)
        grids = self.coarse.restore(predicted)
        field = DenseField(grids[first], self.coarse.decoder, self.settings.volume.extent)
        rgb, opacity = photometric_error(self.settings, field, batch.objects(first), training.rays, generator)
        losses = {"grid": grid_error, "photometric": rgb, "opacity": opacity}
        photometric = training.photometric_weight * (rgb + training.mask_weight * opacity)
        anchored = step < training.grid_until * training.steps
        losses["loss"] = training.grid_weight * anchored * grid_error + photometric
        if self.superresolution:
            last = slice(len(clean) - self.settings.superresolution.objects, len(clean))
            views = batch.objects(last)
            sharp, low = self.crops(grids[last].repeat_interleave(views.images.shape[1], 0), views, generator)
            losses["superresolution"] = self.superresolution.training_step(sharp, low, generator)
            losses["loss"] = losses["loss"] + self.settings.superresolution.weight * losses["superresolution"]
        return losses

    def crops(self, grids: Tensor, views: ViewBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random crop of every view, on its object, and the render of its grid there.

        grids (N, C, n, n, n), one per view. Returns images (N, 3, c, c) in [0, 1], c = `superresolution.crop`, and colour
        and opacity (N, 4, c / f, c / f) at f times lower resolution, with gradients.
        """
        size, side = self.settings.superresolution.low_size, self.settings.superresolution.crop
        factor = views.images.shape[-1] // size
        rows, columns = crop_windows(views.resized(size).masks.flatten(0, 1), side // factor, generator)
        sharp = torch.stack(
            [
                image[:, row * factor : row * factor + side, column * factor : column * factor + side]
                for image, row, column in zip(
                    views.images.flatten(0, 1), rows[:, 0].tolist(), columns[:, 0].tolist(), strict=True
                )
            ]
        )
        pixels = (rows[:, :, None] * size + columns[:, None, :]).flatten(1).to(grids.device)
        origins, directions = views.cameras.rays(size, pixels)
        field = DenseField(grids, self.coarse.decoder, self.settings.volume.extent)
        with autocast(grids.device, self.settings.volume.precision):
            rendered = render_rays(
                field,
                origins,
                directions,
                self.settings.volume.extent,
                self.settings.rendering.coarse_samples,
                self.settings.rendering.importance_samples,
                generator,
            )
        low = torch.cat([rendered.rgb, rendered.alpha[..., None]], -1)
        return sharp, low.transpose(1, 2).unflatten(2, (side // factor, side // factor))


def crop_windows(masks: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows and columns (N, side) of a random window of masks (N, 1, S, S) each, around a pixel drawn mostly on the object."""
    size = masks.shape[-1]
    around = pick_pixels(masks, 1, generator).cpu()
    corner = torch.cat([around // size, around % size], 1) - torch.randint(side, (len(masks), 2), generator=generator)
    window = corner.clamp(0, size - side)[:, :, None] + torch.arange(side)
    return window[:, 0], window[:, 1]
