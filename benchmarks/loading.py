"""Whether drawing batches keeps up with training."""

from __future__ import annotations

from typing import Any

from benchmarks.context import Context
from benchmarks.steps import drawn, step_on
from benchmarks.timing import alternate


def measure(context: Context) -> dict[str, Any]:
    """Images per second that are drawn over images per second that a step consumes, were the two done at a time.

    At 1 loading would double a step's time; it is not overlapped. The training with less headroom gives the key's numbers.
    """
    found = {"warmup": headroom(context.warmup_method(), context), "joint": headroom(context.joint_method(), context)}
    return {"loading_headroom": min(found.values(), key=lambda one: one["median"]) | found}


def headroom(method, context: Context) -> dict[str, Any]:
    """Seconds of a step without loading over seconds of drawing its batch, and images per second of both."""
    data = context.data
    step = step_on(method, drawn(method, data, 0))
    seeds = iter(range(1_000_000))  # other images every time, as in training
    summary = alternate(step, lambda: drawn(method, data, next(seeds)), context.rounds).summary()
    images = method.objects_per_batch * method.views_per_object
    consumed, loaded = (round(images / seconds, 1) for seconds in summary["seconds"])
    return {**summary, "images_per_second": [consumed, loaded]}
