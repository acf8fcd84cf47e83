"""Train codes and their decoder in turns: tune codes on the photographs, train the decoder, tune codes once more.

The components know nothing of what a render shows. A code moved a little, so that what is decoded renders like the
photographs, takes back most of what the projection lost.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from holofusion.codes.decoder import CodeDecoder
from holofusion.config.codes import Codes
from holofusion.data.batches import ViewBatch
from holofusion.reconstruction.photographs import Photographs
from holofusion.rendering.plain import PlainField, occupied
from holofusion.training.base import Trainable
from holofusion.utils.random import generator_for

LAST_RATE = 0.1  # of the step size on codes, reached at the end
RAYS = 1536  # per step on a code
LOOK_EVERY = 5  # steps between looks for empty space


class DecoderTraining(Trainable):
    """Trains a decoder on the photographs of objects whose codes (N, numbers, m, m, m) stand still, but for some noise."""

    codes: Tensor

    def __init__(self, decoder: CodeDecoder, section: Codes, codes: Tensor, names: list[str]) -> None:
        super().__init__()
        self.decoder, self.section = decoder, section
        self.register_buffer("codes", codes, persistent=False)
        self.deviation = deviation_of(codes)
        self.rows = {name: row for row, name in enumerate(names)}
        self.objects_per_batch, self.views_per_object = section.objects, section.views
        self.steps, self.ema, self.checkpoint_every = section.steps, section.ema, section.checkpoint_every

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.decoder.parameters()), "lr": self.section.learning_rate}]

    def training_step(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Error of colour and opacity of the decoded grids on random rays of the batch's views."""
        codes = torch.stack([self.codes[self.rows[name]] for name in batch.names]).float()
        noise = torch.randn(codes.shape, generator=generator).to(codes.device, non_blocking=True)
        grids = self.decoder(codes + self.section.noise * self.deviation * noise)
        errors = []
        for number in range(len(grids)):
            views = batch.objects(slice(number, number + 1))
            photographs = Photographs(views.images[0], views.masks[0], views.cameras)
            field = PlainField.skipping(grids[number : number + 1])
            errors.append(photographs.error(field, self.section.rays, self.section.samples, generator))
        return {"loss": torch.stack(errors).mean()}


def deviation_of(codes: Tensor) -> Tensor:
    """Deviation (1, numbers, 1, 1, 1) of each number over codes (N, numbers, m, m, m): the unit of shifts and noise."""
    return codes.float().std((0, 2, 3, 4), keepdim=True).clamp_min(1e-6)


def tuned_code(
    decoder: CodeDecoder, code: Tensor, deviation: Tensor, photographs: Photographs, section: Codes, *name: object
) -> Tensor:
    """The code (1, numbers, m, m, m) moved so that what the decoder makes of it renders like the photographs.

    The decoder is frozen. deviation: as `deviation_of` gives it. name: what random draws are named after.
    """
    shift = torch.zeros_like(code).requires_grad_()
    optimiser = torch.optim.Adam([shift], betas=(0.9, 0.99), fused=True)
    known = None
    for step in range(section.tuned_steps):
        optimiser.param_groups[0]["lr"] = section.tuned_rate * LAST_RATE ** (step / section.tuned_steps)
        grid = decoder(code + deviation * shift)
        if step % LOOK_EVERY == 0:
            known = occupied(grid)[0]  # a block on the border may have grown dense where no ray was sampled
        field = PlainField.skipping(grid, known)
        loss = photographs.error(field, RAYS, section.samples, generator_for("codes", *name, step))
        optimiser.zero_grad(set_to_none=True)
        # not grad(): its result may lie in memory in another order than `shift`, which fused Adam does not notice
        (loss + section.pull * shift.square().mean()).backward()
        optimiser.step()
    return (code + deviation * shift).detach()
