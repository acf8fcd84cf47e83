"""The forward process: how clean signals are noised.

x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, for t in 0 .. steps - 1 (Ho et al. 2020), with a cosine schedule
(Nichol and Dhariwal 2021) whose log signal-to-noise ratio may be shifted (Hoogeboom et al. 2023): a signal whose
neighbours agree, such as a voxel grid, survives more noise and needs the shift.
"""

from __future__ import annotations

import torch
from torch import Tensor


class NoiseSchedule:
    """abar (steps,), falling from near 1 to near 0. `shift` is added to the log signal-to-noise ratio; negative: more noise."""

    def __init__(self, steps: int, shift: float = 0.0) -> None:
        time = (torch.arange(steps, dtype=torch.float64) + 1) / steps
        log_snr = -2 * torch.log(torch.tan(torch.pi / 2 * time.clamp(max=1 - 1e-4))) + shift
        self.steps = steps
        self.abar = torch.sigmoid(log_snr.clamp(-12, 12)).float()

    def alpha_and_sigma(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha_t = sqrt(abar_t) and sigma_t = sqrt(1 - abar_t), shaped to broadcast over `like` (B, ...)."""
        abar = self.abar[t].to(like.device, non_blocking=True).reshape(-1, *([1] * (like.ndim - 1)))
        return abar.sqrt(), (1 - abar).sqrt()

    def add_noise(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t from x_0, standard normal noise of the same shape, and t (B,)."""
        alpha, sigma = self.alpha_and_sigma(t, clean)
        return alpha * clean + sigma * noise

    def fraction(self, t: Tensor) -> Tensor:
        """t as the denoisers see it: in (0, 1]."""
        return (t.float() + 1) / self.steps

    def strided(self, count: int, end: float = 0.0) -> list[int]:
        """`count` time steps from the last down to share `end` of it, evenly spaced; all of them when count is not smaller."""
        last = self.steps - 1
        if count == 1:
            return [last]
        return sorted({round(step) for step in torch.linspace(end * last, last, count).tolist()}, reverse=True)
