"""What the papers claim, as rules over measured numbers: each holds, fails or stays undecided on a run's own intervals.

A rule is one or more weighted sums of measured numbers that the claim says are above zero. Replicates of methods share
their redraws (`bootstrap.py`), so a sum's interval is that of paired differences. Sums are averaged over the seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from holofusion.evaluation.bootstrap import interval

HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "fails", "undecided", "not tested"
KERNEL, AGREEMENT, SHARPNESS, FLOATERS = "kernel", "consistency_psnr", "sharpness", "floaters"
TIE = 0.1  # differences below this share of HoloFusion's own value count as a tie
CONSISTENT = ("holodiffusion", "holofusion_sds", "eg3d", "get3d", "stable_dreamfusion", "sds")

Find = Callable[[str, str, int], dict[str, Any] | None]
"""(method, metric, seed) -> the entry of a metrics file; None where it was not measured."""


@dataclass(frozen=True)
class Sum:
    """A weighted sum of one metric over methods, which a claim says is above zero."""

    metric: str
    weights: dict[str, float]


def above(metric: str, high: str, low: str) -> Sum:
    """The claim that `high` has more of the metric than `low`."""
    return Sum(metric, {high: 1.0, low: -1.0})


@dataclass(frozen=True)
class Claim:
    """A sentence, and the sums that all have to be above zero. `optional`: sums of methods not run are left out."""

    name: str
    text: str
    sums: tuple[Sum, ...]
    optional: bool = False


CLAIMS = (
    Claim(
        "best_consistent",
        "Of the methods whose views agree, HoloFusion comes nearest to real images.",
        tuple(above(KERNEL, rival, "holofusion") for rival in CONSISTENT),
        optional=True,
    ),
    Claim(
        "bootstrap",
        "The bootstrap brings the coarse scenes nearer to real images.",
        (above(KERNEL, "holodiffusion_nobootstrap", "holodiffusion"),),
    ),
    Claim(
        "sharper",
        "Super-resolving each view on its own brings it nearer to real images.",
        (above(KERNEL, "holodiffusion", "holodiffusion_star"),),
    ),
    Claim(
        "loses_consistency",
        "Super-resolving each view on its own loses consistency between views.",
        (above(AGREEMENT, "holodiffusion", "holodiffusion_star"),),
    ),
    Claim(
        "keeps_gain",
        "Distillation keeps more than half of what super-resolution gained.",
        (
            above(KERNEL, "holodiffusion", "holodiffusion_star"),
            Sum(KERNEL, {"holodiffusion": 0.5, "holodiffusion_star": 0.5, "holofusion": -1.0}),
        ),
    ),
    Claim(
        "restores_consistency",
        "Distillation restores consistency between views.",
        (above(AGREEMENT, "holofusion", "holodiffusion_star"),),
    ),
    Claim(
        "sds_worse",
        "Distilling by score instead of patch-remix ends farther from real images.",
        (above(KERNEL, "holofusion_sds", "holofusion"),),
    ),
    Claim(
        "sds_smoother",
        "Distilling by score instead of patch-remix gives smoother texture.",
        (above(SHARPNESS, "holofusion", "holofusion_sds"),),
    ),
    Claim(
        "mse_ties",
        f"Plain squared error ties with patch-remix in distance (within {TIE:.0%}).",
        (
            Sum(KERNEL, {"holofusion": 1 + TIE, "holofusion_mse": -1.0}),
            Sum(KERNEL, {"holofusion": TIE - 1, "holofusion_mse": 1.0}),
        ),
    ),
    Claim(
        "mse_floaters", "Plain squared error leaves more floaters.", (above(FLOATERS, "holofusion_mse", "holofusion"),)
    ),
    Claim(
        "mse_inconsistent",
        "Plain squared error leaves views that agree less.",
        (above(AGREEMENT, "holofusion", "holofusion_mse"),),
    ),
    Claim(
        "gans_behind",
        "Tri-plane and mesh GANs stay behind HoloFusion on small sets of unaligned objects.",
        (above(KERNEL, "eg3d", "holofusion"), above(KERNEL, "get3d", "holofusion")),
    ),
    Claim(
        "pigan_near",
        "pi-GAN comes nearer to real images than tri-plane and mesh GANs.",
        (above(KERNEL, "eg3d", "pigan"), above(KERNEL, "get3d", "pigan")),
    ),
    Claim("pigan_identity", "pi-GAN changes the object with the view.", (above(AGREEMENT, "holofusion", "pigan"),)),
)


@dataclass(frozen=True)
class Measured:
    """One sum on this run: value with its 95 % interval (None: too few units), and the value of every seed."""

    sum: Sum
    value: float
    low: float | None
    high: float | None
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Verdict:
    """A claim, what came of it, why, and the numbers it rests on; `missing` names what was not measured."""

    claim: Claim
    verdict: str
    measured: tuple[Measured, ...]
    missing: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why the verdict is what it is, in words."""
        if self.verdict == UNTESTED:
            return f"not measured: {', '.join(self.missing)}"
        if self.verdict == FAILS:
            return "below zero with the whole interval" + (
                ", for every seed" if len(self.measured[0].seeds) > 1 else ""
            )
        if self.verdict == HOLDS:
            return "above zero with the whole interval" + (
                ", for every seed" if len(self.measured[0].seeds) > 1 else ""
            )
        if any(part.low is None for part in self.measured):
            return "too few scenes for an interval"
        if all(part.low > 0 for part in self.measured) or any(part.high < 0 for part in self.measured):
            return "the seeds disagree"
        return "zero lies within the interval"


def measure(part: Sum, find: Find, seeds: list[int]) -> Measured | list[str]:
    """One sum averaged over the seeds; or the names of the numbers that are missing."""
    entries = {(method, seed): find(method, part.metric, seed) for method in part.weights for seed in seeds}
    missing = [f"{method} {part.metric} (seed {seed})" for (method, seed), found in entries.items() if found is None]
    if missing:
        return missing
    values = [sum(weight * entries[method, seed]["value"] for method, weight in part.weights.items()) for seed in seeds]
    units, low, high = min(found["units"] for found in entries.values()), None, None
    if all(found["replicates"] for found in entries.values()):
        count = min(len(found["replicates"]) for found in entries.values())
        replicates = sum(
            weight * np.array(entries[method, seed]["replicates"][:count]) / len(seeds)
            for method, weight in part.weights.items()
            for seed in seeds
        )
        low, high = interval(float(np.mean(values)), replicates, units)
    return Measured(part, float(np.mean(values)), low, high, tuple(values))


def judge(claim: Claim, find: Find, seeds: list[int], methods: list[str]) -> Verdict:
    """The claim on what was measured for `seeds`; `methods` are the rows that were run."""
    sums = [part for part in claim.sums if not claim.optional or set(part.weights) <= set(methods)]
    found = [measure(part, find, seeds) for part in sums]
    missing = [name for part in found if isinstance(part, list) for name in part]
    if missing or not found:
        return Verdict(claim, UNTESTED, (), tuple(dict.fromkeys(missing)) or ("none of its methods",))
    if any(part.high is not None and part.high < 0 and max(part.seeds) < 0 for part in found):
        verdict = FAILS
    elif all(part.low is not None and part.low > 0 and min(part.seeds) > 0 for part in found):
        verdict = HOLDS
    else:
        verdict = UNDECIDED
    return Verdict(claim, verdict, tuple(found))
