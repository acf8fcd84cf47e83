"""The papers' claims as rules over measured numbers: each holds, fails or stays undecided on a run's own intervals.

A rule is one or more weighted sums of measured numbers that the claim says are above zero. Replicates of methods share
their redraws (`bootstrap.py`), so a sum's interval is that of paired differences. Sums are averaged over the seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from holofusion.evaluation.bootstrap import interval
from holofusion.evaluation.entries import Entry

HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "fails", "undecided", "not tested"
KERNEL, CONSISTENCY, SHARPNESS, FLOATERS = "kernel", "consistency_psnr", "sharpness", "floaters"  # of METRICS
TIE = 0.1  # differences below this share of HoloFusion's own value count as a tie
CONSISTENT = ("holodiffusion", "holofusion_sds", "eg3d", "get3d", "stable_dreamfusion", "sds")

Find = Callable[[str, str, int], Entry | None]
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
        tuple(above(KERNEL, baseline, "holofusion") for baseline in CONSISTENT),
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
        (above(CONSISTENCY, "holodiffusion", "holodiffusion_star"),),
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
        (above(CONSISTENCY, "holofusion", "holodiffusion_star"),),
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
        (above(CONSISTENCY, "holofusion", "holofusion_mse"),),
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
    Claim("pigan_identity", "pi-GAN changes the object with the view.", (above(CONSISTENCY, "holofusion", "pigan"),)),
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
        if self.verdict in (FAILS, HOLDS):
            side = "below" if self.verdict == FAILS else "above"
            every = ", for every seed" if len(self.measured[0].seeds) > 1 else ""
            return f"{side} zero with the whole interval{every}"
        ends = [(part.low, part.high) for part in self.measured if part.low is not None and part.high is not None]
        if len(ends) < len(self.measured):
            return "too few scenes for an interval"
        if all(low > 0 for low, _ in ends) or any(high < 0 for _, high in ends):
            return "the seeds disagree"
        return "zero lies within the interval"


def missing_of(part: Sum, find: Find, seeds: list[int]) -> list[str]:
    """The numbers of a sum that were not measured, in words."""
    return [
        f"{method} {part.metric} (seed {seed})"
        for method in part.weights
        for seed in seeds
        if find(method, part.metric, seed) is None
    ]


def measure(part: Sum, find: Find, seeds: list[int]) -> Measured | None:
    """One sum averaged over the seeds; None if any of its numbers is missing."""
    entries: dict[tuple[str, int], Entry] = {}
    for method in part.weights:
        for seed in seeds:
            entry = find(method, part.metric, seed)
            if entry is None:
                return None
            entries[method, seed] = entry
    values = [sum(weight * entries[method, seed]["value"] for method, weight in part.weights.items()) for seed in seeds]
    kept = {key: np.array(entry["replicates"]) for key, entry in entries.items() if entry["replicates"]}
    value, units, replicates = float(np.mean(values)), min(entry["units"] for entry in entries.values()), None
    if len(kept) == len(entries):
        count = min(map(len, kept.values()))
        replicates = np.zeros(count)
        for method, weight in part.weights.items():
            for seed in seeds:
                replicates += weight * kept[method, seed][:count] / len(seeds)
    low, high = interval(value, replicates, units)
    return Measured(part, value, low, high, tuple(values))


def verdict_of(claim: Claim, find: Find, seeds: list[int], methods: list[str]) -> Verdict:
    """The claim on what was measured for `seeds`; `methods` are the rows that were run."""
    sums = [part for part in claim.sums if not claim.optional or set(part.weights) <= set(methods)]
    missing = [name for part in sums for name in missing_of(part, find, seeds)]
    if missing or not sums:
        return Verdict(claim, UNTESTED, (), tuple(dict.fromkeys(missing)) or ("none of its methods",))
    measured = tuple(total for part in sums if (total := measure(part, find, seeds)) is not None)
    if any(part.high is not None and part.high < 0 and max(part.seeds) < 0 for part in measured):
        verdict = FAILS
    elif all(part.low is not None and part.low > 0 and min(part.seeds) > 0 for part in measured):
        verdict = HOLDS
    else:
        verdict = UNDECIDED
    return Verdict(claim, verdict, measured)
