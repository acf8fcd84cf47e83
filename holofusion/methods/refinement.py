"""Refine the warm-up's grids: a few gradient steps on every training object's own views.

The encoder answers for all objects at once and, after the few steps a CPU affords, blurs each. Its grids are the
denoiser's training targets, so what they lack no sample can have. Encoder and decoder stay as they are.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from holofusion.config.params import Refinement, Rendering, Volume, Warmup
from holofusion.data.batches import draw_views
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.holodiffusion import photometric_error
from holofusion.rendering.grids import DenseField, occupancy_of
from holofusion.rendering.occupancy import Occupancy
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for


class RefinementSettings(Protocol):
    """The sections that refinement reads."""

    @property
    def volume(self) -> Volume: ...

    @property
    def rendering(self) -> Rendering: ...

    @property
    def warmup(self) -> Warmup: ...

    @property
    def refinement(self) -> Refinement: ...


# Adam's epsilon: a voxel that hardly any ray meets has gradients below it, and keeps the encoder's feature.
GRADIENT_FLOOR = 1e-5
LOOK_EVERY = 10  # steps between looks for empty space, which no ray is sampled in


def refine(
    grids: Tensor, decoder: nn.Module, data: PreparedCategory, settings: RefinementSettings, seed: int
) -> Tensor:
    """Grids (N, C, n, n, n) of the training objects after `refinement.steps` steps on each; N as in `data.train`.

    Objects are taken `warmup.batch` at a time, each with an optimiser of its own, so that the result of one batch does
    not depend on the others.
    """
    warmup, refinement, volume = settings.warmup, settings.refinement, settings.volume
    progress = Progress("refine", len(data.train))
    refined = []
    for first in range(0, len(data.train), warmup.batch):
        names = data.train[first : first + warmup.batch]
        part = grids[first : first + warmup.batch].clone().requires_grad_()
        optimiser = torch.optim.Adam([part], betas=(0.9, 0.99), eps=GRADIENT_FLOOR)
        occupancy = None
        for step in range(refinement.steps):
            if step % LOOK_EVERY == 0:
                bare = DenseField(part.detach(), decoder, volume.extent)
                occupied = occupancy_of(bare, part.shape[-1], settings.rendering.empty_density, grow=1)
                occupancy = Occupancy(occupied, volume.extent)
            field = DenseField(part, decoder, volume.extent, occupancy)
            optimiser.param_groups[0]["lr"] = refinement.learning_rate * (1 - step / refinement.steps)
            generator = generator_for(seed, "refine", first, step)
            views = draw_views(data, names, refinement.views, generator, grids.device)
            rgb, opacity = photometric_error(field, views, warmup.rays, settings.rendering, volume.precision, generator)
            # not backward(): the decoder's parameters take no gradients
            (part.grad,) = torch.autograd.grad(len(names) * (rgb + warmup.mask_weight * opacity), part)
            optimiser.step()
        refined.append(part.detach())
        progress.advance(steps=len(names))
    return torch.cat(refined)
