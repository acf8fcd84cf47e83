"""The papers' claims, and our own, as rules over measured numbers: each holds, fails or stays undecided on a run's own intervals.

A rule is one or more weighted sums of measured numbers that the claim says are above zero. Replicates of methods share
their redraws (`bootstrap.py`), so a sum's interval is that of paired differences. Sums are averaged over the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from holofusion.evaluation.bootstrap import interval
from holofusion.evaluation.entries import Entry

HOLDS, FAILS, UNDECIDED, UNTESTED = "holds", "fails", "undecided", "not tested"
KERNEL, CONSISTENCY, SHARPNESS, FLOATERS = "kernel", "consistency_psnr", "sharpness", "floaters"  # of METRICS
TIE = 0.1  # differences below this share of HoloFusion's own value count as a tie
CONSISTENT = ("holodiffusion", "eg3d", "get3d", "stable_dreamfusion", "sds")

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


@dataclass(frozen=True)
class Family:
    """The rows of HoloFusion over one representation, stage by stage: what the claims call them."""

    coarse: str
    superresolved: str
    fused: str
    mse: str
    sds: str


FEATURES = Family("holodiffusion", "holodiffusion_star", "holofusion", "holofusion_mse", "holofusion_sds")
CODES = Family("code_fusion_coarse", "code_fusion_star", "code_fusion", "code_fusion_mse", "code_fusion_sds")


def _papers(of: Family) -> Iterator[Claim]:
    """What the papers say of the methods, with these rows as HoloFusion's."""
    consistent = dict.fromkeys((of.coarse, of.sds, *CONSISTENT))
    yield Claim(
        "best_consistent",
        "Of the methods whose views agree, HoloFusion comes nearest to real images.",
        tuple(above(KERNEL, baseline, of.fused) for baseline in consistent),
        optional=True,
    )
    yield Claim(
        "bootstrap",
        "The bootstrap brings the coarse scenes nearer to real images.",
        (above(KERNEL, "holodiffusion_nobootstrap", "holodiffusion"),),
    )
    yield Claim(
        "sharper",
        "Super-resolving each view on its own brings it nearer to real images.",
        (above(KERNEL, of.coarse, of.superresolved),),
    )
    yield Claim(
        "loses_consistency",
        "Super-resolving each view on its own loses consistency between views.",
        (above(CONSISTENCY, of.coarse, of.superresolved),),
    )
    yield Claim(
        "keeps_gain",
        "Distillation keeps more than half of what super-resolution gained.",
        (
            above(KERNEL, of.coarse, of.superresolved),
            Sum(KERNEL, {of.coarse: 0.5, of.superresolved: 0.5, of.fused: -1.0}),
        ),
    )
    yield Claim(
        "restores_consistency",
        "Distillation restores consistency between views.",
        (above(CONSISTENCY, of.fused, of.superresolved),),
    )
    yield Claim(
        "sds_worse",
        "Distilling by score instead of patch-remix ends farther from real images.",
        (above(KERNEL, of.sds, of.fused),),
    )
    yield Claim(
        "sds_smoother",
        "Distilling by score instead of patch-remix gives smoother texture.",
        (above(SHARPNESS, of.fused, of.sds),),
    )
    yield Claim(
        "mse_ties",
        f"Plain squared error ties with patch-remix in distance (within {TIE:.0%}).",
        (
            Sum(KERNEL, {of.fused: 1 + TIE, of.mse: -1.0}),
            Sum(KERNEL, {of.fused: TIE - 1, of.mse: 1.0}),
        ),
    )
    yield Claim("mse_floaters", "Plain squared error leaves more floaters.", (above(FLOATERS, of.mse, of.fused),))
    yield Claim(
        "mse_inconsistent",
        "Plain squared error leaves views that agree less.",
        (above(CONSISTENCY, of.fused, of.mse),),
    )
    yield Claim(
        "gans_behind",
        "Tri-plane and mesh GANs stay behind HoloFusion on small sets of unaligned objects.",
        (above(KERNEL, "eg3d", of.fused), above(KERNEL, "get3d", of.fused)),
    )
    yield Claim(
        "pigan_near",
        "pi-GAN comes nearer to real images than tri-plane and mesh GANs.",
        (above(KERNEL, "eg3d", "pigan"), above(KERNEL, "get3d", "pigan")),
    )
    yield Claim("pigan_identity", "pi-GAN changes the object with the view.", (above(CONSISTENCY, of.fused, "pigan"),))


def _over_codes(of: Family) -> Iterator[Claim]:
    """What this project says of HoloFusion over codes."""
    yield Claim(
        "codes_nearer",
        "Over codes, HoloFusion comes nearer to real images than over an encoder's features.",
        (above(KERNEL, FEATURES.fused, of.fused),),
    )
    yield Claim(
        "second_stage",
        "What the second stage makes is nearer to real images than the codes as sampled.",
        (above(KERNEL, of.coarse, of.fused),),
    )
    yield Claim(
        "surface_nearer",
        "Fused on a surface, scenes are nearer to real images than fused as a field.",
        (above(KERNEL, of.fused, "code_fusion_mesh"),),
    )
    yield Claim(
        "surface_consistent",
        "Fused on a surface, views agree more than those of a field.",
        (above(CONSISTENCY, "code_fusion_mesh", of.fused),),
    )
    yield Claim(
        "surface_remix",
        "On a surface, patch-remix ends nearer to real images than plain squared error.",
        (above(KERNEL, "code_fusion_mesh_mse", "code_fusion_mesh"),),
    )
    yield Claim(
        "beats_linear",
        "A denoiser that corrects both estimates makes nearer samples than one that sees the linear estimate alone.",
        (above(KERNEL, "code_fusion_linear", of.coarse),),
    )
    yield Claim(
        "beats_closed_form",
        "The trained denoiser makes nearer samples than the local estimate, for which nothing is trained.",
        (above(KERNEL, "local_estimate", of.coarse),),
    )


def claims_for(methods: Collection[str]) -> tuple[Claim, ...]:
    """The claims of a run with these rows; they speak of HoloFusion over codes where it is among them."""
    if CODES.fused in methods:
        return (*_papers(CODES), *_over_codes(CODES))
    return tuple(_papers(FEATURES))


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
