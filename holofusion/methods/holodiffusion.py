"""Stage 1: a diffusion model over voxel features, learned from posed images only (HoloDiffusion, a variant).

Order of training, decided by what works at small scale: a warm-up teaches encoder, pooling head and decoder to carry
colour and shape through the grid; the grids of all training objects are refined on their own views, then standardised,
per voxel by the mean and per channel by the deviation *between objects*, so that unit noise is matched to what tells
objects apart; then the denoiser is trained on them, with the bootstrap. What of it is linear is known in closed form.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holofusion.config.params import Denoiser, Encoder, Rendering, Volume, Warmup
from holofusion.data.batches import ViewBatch, pick_pixels, take_pixels
from holofusion.data.prepared import PreparedCategory
from holofusion.diffusion.linear import LinearDenoiser
from holofusion.diffusion.process import NoiseSchedule
from holofusion.diffusion.samplers import sample
from holofusion.networks.encoder import VoxelEncoder
from holofusion.networks.render_mlp import RenderMLP
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.rendering.grids import DenseField
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import render_rays
from holofusion.training.base import Trainable
from holofusion.utils.precision import autocast
from holofusion.utils.random import generator_for


class VoxelAutoencoder(Trainable):
    """Warm-up: source views -> grid -> renders of other views. No noise, no denoiser."""

    def __init__(self, volume: Volume, rendering: Rendering, encoder: Encoder, warmup: Warmup) -> None:
        super().__init__()
        self.volume, self.rendering, self.encoding, self.warmup = volume, rendering, encoder, warmup
        self.encoder = VoxelEncoder(encoder.width, volume.features, volume.resolution, volume.extent)
        self.decoder = RenderMLP(volume.features, volume.decoder_width, volume.density_scale)
        self.objects_per_batch = warmup.batch
        self.views_per_object = encoder.source_views + warmup.target_views
        self.steps, self.ema, self.checkpoint_every = warmup.steps, warmup.ema, warmup.checkpoint_every

    def encode(self, batch: ViewBatch) -> Tensor:
        """Grids (B, C, n, n, n) from all views of the batch, at the encoder's image size."""
        small = batch.resized(self.encoding.image_size)
        with autocast(small.images.device, self.volume.precision):
            return self.encoder(small.images, small.masks, small.cameras).float()

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Photometric and opacity error on target views, and a small penalty that keeps grids near zero."""
        warmup, sources = self.warmup, self.encoding.source_views
        grid = self.encode(batch.views(slice(0, sources)))
        noisy = grid + warmup.feature_noise * torch.randn(grid.shape, generator=generator).to(
            grid.device, non_blocking=True
        )
        targets = batch.views(slice(sources, None))
        field = DenseField(noisy, self.decoder, self.volume.extent)
        rgb, opacity = photometric_error(field, targets, warmup.rays, self.rendering, self.volume.precision, generator)
        decay = grid.square().mean()
        return {
            "loss": rgb + warmup.mask_weight * opacity + warmup.feature_decay * decay,
            "photometric": rgb,
            "opacity": opacity,
            "grid_power": decay,
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.warmup.learning_rate}]

    @torch.no_grad()
    def encode_objects(self, data: PreparedCategory, names: list[str], device: torch.device) -> Tensor:
        """The grid of each named object (len(names), C, n, n, n), pooled over all its prepared views."""
        grids = []
        for name in names:
            images, masks, cameras = data.batch(data.frames[name])
            one = ViewBatch([name], images[None].to(device), masks[None].to(device), cameras.to(device))
            grids.append(self.encode(one)[0])
        return torch.stack(grids)


def photometric_error(
    field: DenseField, targets: ViewBatch, rays: int, rendering: Rendering, precision: str, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mean squared error of colour and of opacity on `rays` random pixels of every target view, drawn mostly on the object.

    field: of B objects; targets of the same, compared at `rendering.image_size`.
    """
    small = targets.resized(rendering.image_size)
    objects, views = small.images.shape[:2]
    masks = small.masks.flatten(0, 1)
    pixels = pick_pixels(masks, rays, generator)
    bundle = Rays.through(small.cameras, rendering.image_size, pixels).shared_among(objects)
    samples = (rendering.coarse_samples, rendering.importance_samples)
    if field.occupancy is not None:
        samples = (rendering.occupied_samples, 0)
    with autocast(bundle.device, precision):
        rendered = render_rays(field, bundle, *samples, generator)
    colour = take_pixels(small.images.flatten(0, 1), pixels).reshape(objects, views * rays, 3)
    opacity = take_pixels(masks, pixels).reshape(objects, views * rays)
    return (rendered.rgb - colour).square().mean(), (rendered.alpha - opacity).square().mean()


class HoloDiffusion(nn.Module):
    """The denoiser over standardised grids, with the decoder that renders them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, volume: Volume, denoiser: Denoiser) -> None:
        super().__init__()
        self.volume = volume
        folded = 8 * volume.features
        self.unet = UNet(
            3, 2 * folded, folded, denoiser.channels, denoiser.blocks, volume.resolution // 2, volume.precision
        )
        self.decoder = RenderMLP(volume.features, volume.decoder_width, volume.density_scale)
        self.schedule = NoiseSchedule(denoiser.noise_steps, denoiser.schedule_shift)
        shape = (volume.features, *[volume.resolution] * 3)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(volume.features, 1, 1, 1))
        self.linear = LinearDenoiser(shape, denoiser.linear_rank)

    def standardise_by(self, grids: Tensor) -> Tensor:
        """Set the statistics from the training objects' grids (objects, C, n, n, n); return them standardised."""
        self.mean.copy_(grids.mean(0))
        self.deviation.copy_(
            (grids - self.mean).square().mean((0, 2, 3, 4)).sqrt().clamp_min(1e-4).reshape(-1, 1, 1, 1)
        )
        standardised = (grids - self.mean) / self.deviation
        self.linear.fit(standardised)
        return standardised

    def restore(self, standardised: Tensor) -> Tensor:
        """Back from standardised grids to the decoder's features."""
        return standardised * self.deviation + self.mean

    def denoise(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Predict the clean standardised grid from x_t (B, C, n, n, n) and t (B,): the linear estimate, corrected."""
        estimate = self.linear(noisy, *self.schedule.alpha_and_sigma(t, noisy))
        with autocast(noisy.device, self.volume.precision):
            folded = fold(torch.cat([noisy, estimate], 1))
            return (
                estimate
                + unfold(self.unet(folded, self.schedule.fraction(t).to(noisy.device, non_blocking=True))).float()
            )

    def sample_grid(self, seed: int, steps: int, sampler: str) -> Tensor:
        """The clean grid (1, C, n, n, n), in decoder features, of one sample seed."""
        generator = generator_for("coarse", seed)
        noise = torch.randn((1, *self.mean.shape), generator=generator).to(self.mean.device, non_blocking=True)
        ancestral = generator if sampler == "ddpm" else None
        return self.restore(sample(self.denoise, self.schedule, noise, steps, ancestral))
