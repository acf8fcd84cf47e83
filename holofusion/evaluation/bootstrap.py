"""Where every interval comes from: objects and scenes, the independent units, are redrawn with replacement.

The redraws of a seed depend on nothing but the number of units, so the replicates of two methods are pairs: what both owe
to the choice of objects or scenes cancels in their difference (`claims.py` uses that).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import t as student

from holofusion.utils.files import UserError
from holofusion.utils.random import numpy_generator_for

FEWEST = 3  # units: fewer cannot be redrawn
DIGITS = 6  # of the replicates on file
SHARES = {
    "precision",
    "recall",
    "coverage",
    "memorised",
    "depth_warp_seen",
    "translucency",
    "chamfer_coverage",
    "floaters",
}


def redraw(units: int, replicates: int, *name: object) -> np.ndarray | None:
    """How often each unit is drawn, (replicates, units) float64; rows sum to `units`. None for fewer than three units.

    The draws are named: same name and number, same draws. A draw of one unit alone is drawn again: such a set has
    nothing to be compared within.
    """
    if units < FEWEST:
        return None
    random, rows = numpy_generator_for("redraw", *name), []
    while len(rows) < replicates:
        counts = random.multinomial(units, np.full(units, 1 / units))
        if counts.max() < units:
            rows.append(counts.astype(float))
    return np.stack(rows)


def drawn_of(draws: np.ndarray | None, known: list[int]) -> np.ndarray | None:
    """The columns (R,K) of `draws` (R,U) of the units for which a number is known.

    Drawn for all units, they stay pairs with those of other methods; a row that drew none of the known draws each once.
    """
    if draws is None:
        return None
    found = draws[:, known]
    found[found.sum(1) == 0] = 1.0
    return found


def replicates_of(statistic: Callable[..., float], *draws: np.ndarray | None) -> np.ndarray | None:
    """`statistic` of every redraw: called with one row of each of `draws`. None where one of them is None."""
    if any(part is None for part in draws):
        return None
    return np.array([statistic(*rows) for rows in zip(*draws, strict=True)])


def interval(value: float, replicates: np.ndarray | None, units: int) -> tuple[float, float] | tuple[None, None]:
    """95 % interval: the replicates' 2.5 % and 97.5 % quantiles relative to their mean, laid around `value`.

    Relative to their mean, since redrawing moves a distance (sets with repeats look smaller than they are). `units` is
    the smaller number of units redrawn; for few of them the quantiles are widened as Student's t is wider than the
    normal distribution, and as the bootstrap's deviation falls short by sqrt((n - 1) / n).
    """
    if replicates is None:
        return None, None
    wider = student.ppf(0.975, units - 1) / 1.959964 * math.sqrt(units / (units - 1))
    low, high = np.quantile(replicates - replicates.mean(), [0.025, 0.975]) * wider
    return float(value + low), float(value + high)


def within(metric: str, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """The ends of an interval, for a share not beyond 0 and 1."""
    if low is None or metric not in SHARES:
        return low, high
    return max(0.0, low), min(1.0, high)


def entry(
    metric: str, reference: str | None, value: float, replicates: np.ndarray | None, units: int, **counts: Any
) -> dict[str, Any]:
    """One measured number as it stands in a metrics file. Raises UserError if it is not finite."""
    if not math.isfinite(value):
        raise UserError(f"{metric}{f' against {reference}' if reference else ''}: not a finite number")
    low, high = within(metric, *interval(value, replicates, units))
    kept = None if replicates is None else [float(f"{number:.{DIGITS}g}") for number in replicates]
    return {
        "metric": metric,
        "reference": reference,
        "value": float(value),
        "low": low,
        "high": high,
        **counts,
        "units": int(units),
        "replicates": kept,
    }
