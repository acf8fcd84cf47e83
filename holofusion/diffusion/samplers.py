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
    sampler: str,
    generator: torch.Generator,
    end: float = 0.0,
) -> Tensor:
    """Turn noise (B, ...) into a clean signal of the same shape in `steps` calls of denoise(x_t, t) -> x_0.

    sampler: "ddpm", ancestral, on the strided time steps (Ho et al. 2020; eta = 1 in Song et al. 2021), with the
    generator's noise; "ddim", deterministic (Song et al. 2021, eta = 0); "dpm++", deterministic, of second order in two
    steps' predictions (DPM-Solver++ 2M, Lu et al. 2022), for few steps. The last prediction is made at share `end` of the
    time steps.
    """
    x = noise
    times = schedule.strided(steps, end)
    before: tuple[Tensor, Tensor] | None = (
        None  # the step before: its prediction, and its stretch of log signal to noise
    )
    for now, after in zip(times, [*times[1:], None], strict=True):
        clean = denoise(x, torch.full((len(x),), now))
        if after is None:
            return clean
        abar, abar_after = schedule.abar[now], schedule.abar[after]
        fresh = torch.zeros(())
        aim = clean
        if sampler == "ddpm":
            fresh = ((1 - abar_after) / (1 - abar) * (1 - abar / abar_after)).sqrt()
        elif sampler == "dpm++":
            stretch = 0.5 * (torch.logit(abar_after) - torch.logit(abar))
            if before is not None:
                aim = clean + 0.5 * stretch / before[1] * (clean - before[0])
            before = (clean, stretch)
        predicted_noise = (x - abar.sqrt() * aim) / (1 - abar).sqrt()
        x = abar_after.sqrt() * aim + (1 - abar_after - fresh**2).clamp_min(0).sqrt() * predicted_noise
        if sampler == "ddpm":
            x = x + fresh * torch.randn(x.shape, generator=generator).to(x.device)
    return x
