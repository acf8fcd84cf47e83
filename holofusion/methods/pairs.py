"""What super-resolution is trained on: renders of what it will meet, each beside the photograph of the same view.

It will meet codes of a denoiser's making. So codes of training objects are noised, at random strength, and denoised by an
estimate; the renders of these are made once, before the training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from holofusion.codes.space import CodeSpace
from holofusion.data.prepared import PreparedCategory
from holofusion.diffusion.estimates import Estimates
from holofusion.rendering.plain import PlainField
from holofusion.rendering.views import render_field
from holofusion.utils.progress import Progress
from holofusion.utils.random import generator_for

VIEWS = 8  # photographs of each object that are rendered, evenly spaced


def denoised_grid(
    space: CodeSpace, estimates: Estimates, number: int, strongest: float, generator: torch.Generator
) -> Tensor:
    """The plain grid (1, 4, n, n, n) of training code `number`, noised and denoised by the linear estimate.

    How much it is noised is random, up to share `strongest` of the process.
    """
    most = max(1, round(strongest * estimates.schedule.steps))
    t = int(torch.randint(most, (1,), generator=generator))
    alpha, sigma = estimates.alpha_and_sigma(t)
    clean = estimates.codes[number : number + 1].float()
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    return space.decode(estimates.linear_at(alpha * clean + sigma * noise, t))


@dataclass(frozen=True)
class RenderPairs:
    """Renders low (M, 4, s, s), float16: colour and opacity in [0, 1]; and rows (M,) of the photographs of the same views.

    shown (M, s, s) bool, on the CPU: pixels that show the object in the render.
    """

    low: Tensor
    shown: Tensor
    rows: list[int]
    data: PreparedCategory

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        data: PreparedCategory,
        space: CodeSpace,
        estimates: Estimates,
        size: int,
        samples: int,
        strongest: float,
    ) -> RenderPairs:
        """Renders of side `size`, `samples` points a ray, of codes that were noised as `denoised_grid` says."""
        low, rows, progress = [], [], Progress("pairs", len(data.train))
        for number, name in enumerate(data.train):
            grid = denoised_grid(space, estimates, number, strongest, generator_for("pairs", name))
            frames = data.frames[name]
            chosen = [frames[place * len(frames) // VIEWS] for place in range(min(VIEWS, len(frames)))]
            cameras = data.cameras[torch.tensor(chosen)].to(grid.device)
            seen = render_field(PlainField.skipping(grid), cameras, size, (samples, 0))
            low.append(torch.cat([seen.rgb, seen.alpha], 1).half())
            rows += chosen
            progress.advance()
        renders = torch.cat(low)
        return cls(renders, (renders[:, 3] > 0.5).cpu(), rows, data)

    def crops(self, count: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`count` random windows on objects: photographs (count, 3, side, side) in [0, 1], renders (count, 4, side / f, ...).

        f: how many times smaller renders are than photographs.
        """
        size = self.low.shape[-1]
        factor = self.data.image_size // size
        window, images, renders = side // factor, [], []
        for number in torch.randint(len(self.rows), (count,), generator=generator).tolist():
            shown = self.shown[number].nonzero()
            place = torch.full((2,), size // 2)
            if len(shown):
                place = shown[torch.randint(len(shown), (1,), generator=generator)][0]
            corner = place - torch.randint(window, (2,), generator=generator)
            y, x = corner.clamp(0, size - window).tolist()
            renders.append(self.low[number, :, y : y + window, x : x + window])
            top, left = factor * y, factor * x
            part = self.data.images[self.rows[number], top : top + side, left : left + side]
            images.append(torch.from_numpy(np.array(part)).permute(2, 0, 1))
        return torch.stack(images).to(self.low.device, non_blocking=True).float() / 255, torch.stack(renders).float()
