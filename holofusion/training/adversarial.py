"""One adversarial step for all methods that have a discriminator: both players' losses from one batch of fakes.

Generator and discriminator step together (simultaneous gradient descent): each fake is rendered once and serves both.
Losses are the non-saturating ones, with R1 (Mescheder et al. 2018) on real images every few steps, and differentiable
augmentation of whatever the discriminator sees (Zhao et al. 2020), since there are few images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holofusion.config.baselines import Adversarial

Score = Callable[[Tensor], Tensor]


def adversarial_losses(
    discriminator: nn.Module,
    score: Score,
    real: Tensor,
    fake: Tensor,
    r1: float,
    step: int,
    section: Adversarial,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Losses of both players; their sum is under "loss".

    score: images -> scores (B,), through `discriminator`. real, fake (B, C, s, s) in [0, 1]; `fake` carries the
    generator's gradient. r1: weight (gamma) of the penalty.
    """
    discriminator.requires_grad_(False)
    generator_loss = F.softplus(-score(augment(fake, section.augmentation, generator))).mean()
    discriminator.requires_grad_(True)
    seen = augment(torch.cat([real, fake.detach()]), section.augmentation, generator)
    seen_real, seen_fake = seen.chunk(2)
    penalised = step % section.r1_every == 0 and r1 > 0
    seen_real.requires_grad_(penalised)
    real_score = score(seen_real)
    discriminator_loss = F.softplus(-real_score).mean() + F.softplus(score(seen_fake)).mean()
    losses = {"generator": generator_loss, "discriminator": discriminator_loss}
    losses["loss"] = generator_loss + discriminator_loss
    if penalised:
        losses["r1"] = r1_penalty(real_score, seen_real)
        losses["loss"] = losses["loss"] + 0.5 * r1 * section.r1_every * losses["r1"]
    return losses


def r1_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Mean over the batch of the squared gradient of scores (B,) in images (B, C, s, s); differentiable again."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def augment(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random brightness, saturation, contrast and shift of images (B, C, s, s) in [0, 1], with gradients.

    strength 0 leaves them as they are, 1 is Zhao et al.'s. Colour jitter acts on 1 - image, so the white background stays
    white. All triples of channels of one image change alike; a channel beyond them (transparency) is only
    shifted. What comes in at the rim is 1.
    """
    if strength == 0:
        return images
    count, channels, size = images.shape[:3]
    change = strength * (torch.rand((3, count, 1, 1, 1, 1), generator=generator) - 0.5).to(
        images.device, non_blocking=True
    )
    coloured = channels // 3 * 3
    ink = (1 - images[:, :coloured]).unflatten(1, (-1, 3))
    grey = ink.mean(2, keepdim=True)
    ink = (grey + (ink - grey) * (1 + 2 * change[0])) * (1 + change[1]) * (1 + change[2])
    images = torch.cat([1 - ink.flatten(1, 2), images[:, coloured:]], 1)
    reach = round(size / 8 * strength)
    shift = torch.randint(-reach, reach + 1, (count, 2), generator=generator).tolist()
    padded = F.pad(images, [reach] * 4, value=1.0)
    return torch.stack(
        [
            image[:, reach + dy : reach + dy + size, reach + dx : reach + dx + size]
            for image, (dy, dx) in zip(padded, shift, strict=True)
        ]
    )
