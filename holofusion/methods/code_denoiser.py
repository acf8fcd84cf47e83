"""The denoiser over codes: a U-Net that corrects estimates in closed form, and learns what these cannot know.

They say what objects have in common (linear) and what fits a neighbourhood (local). What is left is wholeness: parts that
match, and no seams. In training both estimates come from other objects than the one asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holofusion.config.codes import CodeDenoiser
from holofusion.diffusion.estimates import Estimates
from holofusion.networks.unet import UNet, fold, unfold
from holofusion.utils.precision import autocast


class EstimateCorrector(nn.Module):
    """x_0 of noisy standardised codes (B, C, m, m, m): an estimate, and what a U-Net adds.

    It sees the noisy code and each estimate. Untrained it adds nothing.
    """

    def __init__(self, shape: tuple[int, ...], section: CodeDenoiser, precision: str) -> None:
        super().__init__()
        self.both, self.precision = section.estimates == "both", precision
        folded, seen = 8 * shape[0], 3 if self.both else 2
        self.unet = UNet(3, seen * folded, folded, section.channels, section.blocks, shape[-1] // 2, precision)

    def forward(self, noisy: Tensor, t: int, estimates: Estimates, left_out: Tensor | None = None) -> Tensor:
        """noisy: all at time step t. left_out (B,): in training, of which training code each is a noisy one."""
        with torch.no_grad():
            linear = base = estimates.linear_at(noisy, t, left_out)
            seen = [noisy, linear]
            if self.both:
                local = estimates.local_at(noisy, t, left_out)
                base = estimates.blend(linear, local, t)
                seen.append(local)
            folded = torch.cat([fold(part) for part in seen], 1)
        time = estimates.schedule.fraction(torch.full((len(noisy),), t)).to(noisy.device, non_blocking=True)
        with autocast(noisy.device, self.precision):
            return base + unfold(self.unet(folded, time)).float()
