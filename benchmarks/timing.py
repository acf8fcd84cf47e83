"""Two things measured in turn: their ratio holds on a machine whose speed drifts, where seconds do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any


@dataclass(frozen=True)
class Ratios:
    """Of every round, seconds per call of the first over seconds per call of the second; and the seconds themselves.

    Above 1 the second is the faster one.
    """

    first: list[float]
    second: list[float]

    @property
    def values(self) -> list[float]:
        return [one / two for one, two in zip(self.first, self.second, strict=True)]

    def summary(self, factor: float = 1.0) -> dict[str, Any]:
        """Least, median and greatest ratio, times `factor`; `seconds`: the medians of first and second, per call."""
        seconds = [rounded(median(self.first)), rounded(median(self.second))]
        return {**summary([factor * value for value in self.values]), "seconds": seconds}


def alternate(
    first: Callable[[], object],
    second: Callable[[], object],
    rounds: int = 7,
    least: float = 0.2,
    of_first: Callable[[list[float]], float] = fmean,
) -> Ratios:
    """Call each once to warm up, then measure first, second, first, second, ... in so many rounds.

    A measurement repeats the call until `least` seconds have passed, and is the mean time of a call. of_first: what takes
    the place of the mean for the first of the two.
    """
    first()
    second()
    found = Ratios([], [])
    for _ in range(rounds):
        found.first.append(of_first(call_times(first, least)))
        found.second.append(fmean(call_times(second, least)))
    return found


def call_times(call: Callable[[], object], least: float) -> list[float]:
    """Seconds of each call, repeated until `least` seconds have passed in all."""
    times, started = [], time.perf_counter()
    while not times or time.perf_counter() - started < least:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def summary(values: Sequence[float]) -> dict[str, float]:
    """Least, median and greatest value."""
    return {"min": rounded(min(values)), "median": rounded(median(values)), "max": rounded(max(values))}


def rounded(value: float) -> float:
    """To five digits: more of them would be noise."""
    return float(f"{value:.5g}")
