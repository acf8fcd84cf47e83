"""The printed table: every figure with its least, median and greatest value, and whether it reaches its target."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

TARGETS = {
    "unet_peak_fraction": (">=", 0.6),
    "render_speedup_forward": (">=", 5.0),
    "render_speedup_forward_backward": (">=", 3.0),
    "sample_time_ratio": ("<=", 0.05),
    "data_parallel_efficiency": (">=", 0.85),
    "loading_headroom": (">=", 1.0),
}
HOLDS = {">=": operator.ge, "<=": operator.le}
HEADER = ("figure", "min", "median", "max", "target", "", "seconds of both")


def table(found: dict[str, Any]) -> str:
    """Aligned lines, one per mapping with a median, however deep; the key is the path to it. The median is judged."""
    lines = [HEADER, *(_line(key, figure) for key, figure in figures(found))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    """Numbers to the right, words to the left."""
    cells = zip(range(len(line)), line, widths, strict=True)
    padded = [cell.rjust(width) if 0 < column < 4 else cell.ljust(width) for column, cell, width in cells]
    return "  ".join(padded).rstrip()


def figures(found: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted key and mapping of every figure in nested mappings, outer ones first."""
    for name, value in found.items():
        if isinstance(value, dict):
            if "median" in value:
                yield ".".join((*path, name)), value
            yield from figures(value, (*path, name))


def _line(key: str, figure: dict[str, Any]) -> tuple[str, ...]:
    numbers = (f"{figure[name]:.3g}" for name in ("min", "median", "max"))
    relation, bound = TARGETS.get(key, ("", None))
    verdict = "" if bound is None else "reached" if HOLDS[relation](figure["median"], bound) else "MISSED"
    seconds = " / ".join(f"{value:.3g}" for value in figure.get("seconds", ()))
    return (key, *numbers, "" if bound is None else f"{relation} {bound:g}", verdict, seconds)
