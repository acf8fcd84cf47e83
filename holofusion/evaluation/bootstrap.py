"""Bootstrap intervals: objects and scenes, the independent units, are redrawn with replacement.

Redraws of a seed depend on the number of units alone, so the replicates of two methods are pairs. What both owe to the
choice of objects or scenes cancels in their difference, which `claims.py` uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from holofusion.utils.random import numpy_generator_for

FEWEST = 3  # units: fewer cannot be redrawn


def redraw(units: int, replicates: int, *name: object) -> np.ndarray | None:
    """How often each unit is drawn, (replicates, units) float64; rows sum to `units`. None for fewer than three units.

    The draws are named: same name and number, same draws. A draw of one unit alone is drawn again: such a set has
    nothing to be compared within.
    """
    if units < FEWEST:
        return None
    random = numpy_generator_for("redraw", *name)
    rows: list[np.ndarray] = []
    while len(rows) < replicates:
        counts = random.multinomial(units, np.full(units, 1 / units))
        if counts.max() < units:
            rows.append(counts.astype(float))
    return np.stack(rows)


@dataclass(frozen=True)
class Redraws:
    """The redraws behind every interval of one run: their number, and the training seed that names those of scenes."""

    replicates: int
    seed: int

    def of_objects(self, units: int, reference: str) -> np.ndarray | None:
        """Draws (R,units) of the objects of a reference: the same for all methods and seeds."""
        return redraw(units, self.replicates, "objects", reference)

    def of_scenes(self, units: int) -> np.ndarray | None:
        """Draws (R,units) of scenes: the same for all methods of one training seed."""
        return redraw(units, self.replicates, "scenes", self.seed)


def drawn_of(draws: np.ndarray | None, known: list[int]) -> np.ndarray | None:
    """The columns (R,K) of `draws` (R,U) of the units for which a number is known.

    Drawn for all units, they stay pairs with those of other methods; a row that drew none of the known draws each once.
    """
    if draws is None:
        return None
    counts = draws[:, known]
    counts[counts.sum(1) == 0] = 1.0
    return counts


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
