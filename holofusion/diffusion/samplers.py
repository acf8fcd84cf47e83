"""The reverse process, for denoisers that predict the clean signal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from holofusion.diffusion.process import NoiseSchedule


@torch.no_grad()
def sample(
    denoise: Callable[[Tensor, Tensor], Tensor],
    schedule: NoiseSchedule,
    noise: Tensor,
    steps: int,
    generator: torch.Generator | None,
    end: float = 0.0,
) -> Tensor:
    """Turn noise (B, ...) into a clean signal of the same shape in `steps` calls of denoise(x_t, t) -> x_0.

    With a generator: ancestral DDPM sampling on the strided time steps (Ho et al. 2020; eta = 1 in Song et al. 2021).
    Without: deterministic DDIM (Song et al. 2021, eta = 0). The last prediction is made at share `end` of the time steps.
    """
    x = noise
    times = schedule.strided(steps, end)
    for now, after in zip(times, [*times[1:], None], strict=True):
        t = torch.full((len(x),), now)
        clean = denoise(x, t)
        if after is None:
            return clean
        abar, abar_after = schedule.abar[now], schedule.abar[after]
        predicted_noise = (x - abar.sqrt() * clean) / (1 - abar).sqrt()
        fresh = torch.zeros(())
        if generator is not None:
            fresh = ((1 - abar_after) / (1 - abar) * (1 - abar / abar_after)).sqrt()
        x = abar_after.sqrt() * clean + (1 - abar_after - fresh**2).clamp_min(0).sqrt() * predicted_noise
        if generator is not None:
            x = x + fresh * torch.randn(x.shape, generator=generator).to(x.device, non_blocking=True)
    return x
