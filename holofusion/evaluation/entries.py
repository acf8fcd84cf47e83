"""The type of a number in a metrics file."""

from __future__ import annotations

import math
from typing import Any, NotRequired, TypedDict, Unpack

import numpy as np

from holofusion.evaluation.bootstrap import interval
from holofusion.evaluation.metrics import Metric, metric_of
from holofusion.pipeline.job import Resolved
from holofusion.utils.files import UserError

DIGITS = 6  # of the replicates on file


class Counts(TypedDict, total=False):
    """What a number was measured on: real and generated images, scenes, and the kernel distance's subsets."""

    n_real: int
    n_generated: int
    n_scenes: int
    subset_size: int
    subsets: int


class Entry(TypedDict):
    """One measured number.

    metric: its name in files, which for distances holds the feature network's; reference: what it is measured against
    ("train", "held_out", "true_shapes"), or None. low, high: 95 % interval; None where too few units could be redrawn.
    units: objects or scenes redrawn, the smaller number; replicates: the value of every redraw, or None.
    """

    metric: str
    reference: str | None
    value: float
    low: float | None
    high: float | None
    n_real: NotRequired[int]
    n_generated: NotRequired[int]
    n_scenes: NotRequired[int]
    subset_size: NotRequired[int]
    subsets: NotRequired[int]
    units: int
    replicates: list[float] | None


def entry(
    metric: str,
    reference: str | None,
    value: float,
    replicates: np.ndarray | None,
    units: int,
    **counts: Unpack[Counts],
) -> Entry:
    """A measured number with its interval from the values `replicates` (R,) of all redraws.

    Raises UserError if it is not finite, or `metrics.METRICS` does not know the metric.
    """
    if not math.isfinite(value):
        raise UserError(f"{metric}{f' against {reference}' if reference else ''}: not a finite number")
    low, high = metric_of(metric, reference).within(*interval(value, replicates, units))
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


def metric_of_entry(measured: Entry) -> Metric:
    """The metric of an entry. Raises UserError if the table does not know it."""
    return metric_of(measured["metric"], measured["reference"])


class Facts(TypedDict):
    """What every metrics file begins with. method: the row; run: the name of its settings file."""

    run: str
    method: str
    category: str | None
    seed: int
    config_hash: str


def facts_of(resolved: Resolved[Any], method: str) -> Facts:
    """The head of the metrics file that a step with these settings writes for the row `method`."""
    return {
        "run": resolved.name,
        "method": method,
        "category": resolved.category,
        "seed": resolved.seed,
        "config_hash": resolved.hash,
    }
