"""Estimates of clean codes that nothing is trained for: the linear one, the local one, and their best blend.

A network that corrects them must not meet, in training, estimates that know the code that is asked for: then there is
nothing to learn but to copy. So both can be made from the other codes alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holofusion.diffusion.linear import LinearDenoiser
from holofusion.diffusion.local import LocalEstimate, Neighbourhood
from holofusion.diffusion.packing import packed, unpacked
from holofusion.diffusion.process import NoiseSchedule
from holofusion.utils.random import generator_for

LEVELS = (0.98, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.02)  # shares of the time steps; noise falls
WIDTHS = (5, 9, 15, 10_000)  # positions of a neighbourhood's side that are tried at each
SOFTNESS = ((1.0, 1.0), (1.0, 8.0), (1.0, 64.0))  # bandwidths and temperatures that are
PACKED = ("packed", "greatest", "shape")  # names of the codes' parts where they are packed
RIDGE = 1e-3  # share of the mean power that is added to the blend's normal equations


class Estimates(nn.Module):
    """The estimates, from standardised training codes (N, C, m, m, m), at the noise levels of a schedule.

    codes: half precision, kept with the weights, since the local estimate is made of them. chosen (L, 3): width, bandwidth
    and temperature of the local estimate at each of LEVELS. mix (L, C, 2): weights of both in the blend.
    """

    codes: Tensor
    variance: Tensor
    chosen: Tensor
    mix: Tensor

    def __init__(self, shape: tuple[int, ...], rank: int, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.schedule, self.linear = schedule, LinearDenoiser(shape, rank)
        self.folds: list[LinearDenoiser] = []
        self.local: LocalEstimate | None = None
        self.register_buffer("codes", torch.zeros(0, *shape, dtype=torch.float16))
        self.register_buffer("variance", torch.ones(shape[0]))
        self.register_buffer("chosen", torch.zeros(len(LEVELS), 3))
        self.register_buffer("mix", torch.full((len(LEVELS), shape[0], 2), 0.5))

    @torch.no_grad()
    def fit(self, codes: Tensor, folds: int) -> None:
        """Make the estimates from codes (N, C, m, m, m), the linear one also without each of `folds` parts of them.

        Code i lies in part i modulo `folds`.
        """
        self.codes = codes.half()
        codes = self.codes.float()
        self.variance.copy_(codes.square().mean((0, 2, 3, 4)))
        self.linear.fit(codes)
        self.local, self.folds = None, []
        for fold in range(folds):
            self.folds.append(LinearDenoiser(codes.shape[1:], len(self.linear.variances)).to(codes.device))
            self.folds[-1].fit(codes[torch.arange(len(codes)) % folds != fold])

    @torch.no_grad()
    def choose(self, count: int) -> None:
        """Choose, at each level, neighbourhood and blend by the error on `count` of the codes, each left out."""
        numbers = torch.arange(count) * len(self.codes) // count
        truth = self.codes[numbers].float()
        options = [Neighbourhood(width, *soft) for width in WIDTHS for soft in SOFTNESS]
        for place, share in enumerate(LEVELS):
            t = round(share * (self.schedule.steps - 1))
            alpha, sigma = self.alpha_and_sigma(t)
            noise = torch.randn(truth.shape, generator=generator_for("choose", share)).to(truth.device)
            noisy, left_out = alpha * truth + sigma * noise, numbers.to(truth.device)
            candidates = [self._local()(noisy, alpha, sigma, option, left_out) for option in options]
            best = min(range(len(options)), key=lambda number: float((candidates[number] - truth).square().sum()))
            option = options[best]
            self.chosen[place] = torch.tensor([option.width, option.bandwidth, option.temperature])
            self.mix[place] = blend_weights([self.linear_at(noisy, t, left_out), candidates[best]], truth)
        # in nearly pure noise, weights made of few codes say more of these than of others
        self.mix[0] = torch.tensor([1.0, 0.0])

    def alpha_and_sigma(self, t: int) -> tuple[float, float]:
        """Factors of signal and noise at time step t."""
        abar = float(self.schedule.abar[t])
        return abar**0.5, (1 - abar) ** 0.5

    def linear_at(self, noisy: Tensor, t: int, left_out: Tensor | None = None) -> Tensor:
        """Linear estimate (B, C, m, m, m) of noisy codes at time step t.

        left_out (B,): of which training code each is a noisy one; that one's part of the codes then counts for nothing.
        """
        alpha, sigma = (noisy.new_full((), part) for part in self.alpha_and_sigma(t))
        if left_out is None:
            return self.linear(noisy, alpha, sigma)
        denoisers = [self.folds[number % len(self.folds)] for number in left_out.tolist()]
        return torch.cat([each(noisy[row : row + 1], alpha, sigma) for row, each in enumerate(denoisers)])

    def local_at(self, noisy: Tensor, t: int, left_out: Tensor | None = None) -> Tensor:
        """Local estimate, as chosen for the level nearest to time step t; left_out as for `linear_at`."""
        place = min(range(len(LEVELS)), key=lambda number: abs(LEVELS[number] - t / (self.schedule.steps - 1)))
        width, bandwidth, temperature = self.chosen[place].tolist()
        near = Neighbourhood(int(width), bandwidth, temperature)
        return self._local()(noisy, *self.alpha_and_sigma(t), near, left_out)

    def local_with(self, noisy: Tensor, t: int, near: Neighbourhood) -> Tensor:
        """Local estimate with a neighbourhood of one's own."""
        return self._local()(noisy, *self.alpha_and_sigma(t), near)

    def blend(self, linear: Tensor, local: Tensor, t: int) -> Tensor:
        """Both estimates at time step t, each number by its weights, which are interpolated between levels."""
        share = min(max(t / (self.schedule.steps - 1), LEVELS[-1]), LEVELS[0])
        after = next(number for number in range(1, len(LEVELS)) if LEVELS[number] <= share)
        part = (LEVELS[after - 1] - share) / (LEVELS[after - 1] - LEVELS[after])
        mix = ((1 - part) * self.mix[after - 1] + part * self.mix[after])[..., None, None, None]
        return mix[:, 0] * linear + mix[:, 1] * local

    def _local(self) -> LocalEstimate:
        """The local estimate, made when it is first asked for: on the codes' device."""
        if self.local is None or self.local.codes.device != self.codes.device:
            self.local = LocalEstimate(self.codes.float(), self.variance)
        return self.local

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """As torch does it; how many codes there are is the file's to say.

        A model that ships has its codes packed, and the linear estimate is made of them anew.
        """
        if f"{prefix}packed" in state:
            parts = (state.pop(f"{prefix}{name}") for name in PACKED)
            state[f"{prefix}codes"] = unpacked(*parts)
            self.linear.fit(state[f"{prefix}codes"].to(self.codes.device).float())
            state |= {f"{prefix}linear.{name}": value for name, value in self.linear.state_dict().items()}
        if f"{prefix}codes" in state:
            self.codes, self.local = torch.empty_like(state[f"{prefix}codes"], device=self.codes.device), None
        super()._load_from_state_dict(state, prefix, *rest)


def small_state(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The state of a module whose estimates lie under `prefix`, with the codes packed and what is made of them left out."""
    kept = {name: value for name, value in state.items() if not name.startswith(f"{prefix}linear.")}
    parts = packed(kept.pop(f"{prefix}codes"))
    return kept | {f"{prefix}{name}": part for name, part in zip(PACKED, parts, strict=True)}


def blend_weights(estimates: list[Tensor], truth: Tensor) -> Tensor:
    """Least-squares weights (C, K) for each number of K estimates (B, C, m, m, m) of the truth."""
    columns = torch.stack([part.transpose(0, 1).flatten(1) for part in estimates], 1).double()  # (C, K, B P)
    gram = columns @ columns.transpose(1, 2)
    power = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    gram = gram + RIDGE * power.clamp_min(1e-9) * torch.eye(len(estimates)).to(gram)
    return torch.linalg.solve(gram, columns @ truth.transpose(0, 1).flatten(1).double()[:, :, None])[..., 0].float()
