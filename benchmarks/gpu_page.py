"""The tables of docs/gpu.md, from what benchmarks/gpu.py measured, or the words that nothing was."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from holofusion.utils.files import read_json, reading

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FOUND, COUNTS = DOCS / "gpu.md", DOCS / "gpu.json", DOCS / "scale.json"
NOT_RUN = "Not run yet: nobody had a card."
TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2}  # of a loss, as a share of the CPU's in fp32
COUNTED = {  # units of docs/scale.json that are steps of trainings here
    "warmup": ("warmup", "micro-batch"),
    "encode": ("encode", "step of the decoder"),
    "holofusion": ("train", "holofusion, micro-batch"),
}
COLUMNS = ("training", "loss", "fp32", "bf16", "GFLOP", "ms", "share", "compiled, ms", "graphs, ms", "GB", "counted")


def fill(measured: Path) -> None:
    """Keep the file as docs/gpu.json, and make the page from it. Raises UserError where it is no such file."""
    with reading(measured, "expected what `python -m benchmarks.gpu --out FILE` wrote"):
        tables(read_json(measured))
    if measured.resolve() != FOUND:
        shutil.copy(measured, FOUND)
    PAGE.write_text(filled(PAGE.read_text()))


def filled(page: str) -> str:
    """The page with its block made again."""
    text = tables(json.loads(FOUND.read_text())) if FOUND.is_file() else NOT_RUN
    block = f"<!-- measured -->\n{text}\n<!-- end -->"
    page, count = re.subn(r"<!-- measured -->\n.*?<!-- end -->", lambda _: block, page, flags=re.DOTALL)
    assert count == 1, f"{PAGE.name}: expected <!-- measured --> ... <!-- end --> once"
    return page


def tables(found: dict[str, Any]) -> str:
    """What was measured on, and a row per training; below it the reasons for what is missing."""
    rates = ", ".join(f"{value:.0f} TFLOP/s in {name}" for name, value in found["tflops"].items())
    lines = [
        f"{found['device']}, torch {found['torch']}, preset `{found['preset']}`, {found['seconds']} seconds in all. Products of "
        f"{found['matrices']} x {found['matrices']} matrices: {rates}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    reasons = []
    for name, figures in found["trainings"].items():
        lines.append(f"| {' | '.join([f'`{name}`', *cells(name, figures, found)])} |")
        for part, value in {"step": figures, **{way: figures.get(way) for way in ("compiled", "graphs")}}.items():
            if isinstance(value, dict) and "failed" in value:
                reasons.append(f"- `{name}`, {part}: {value['failed']}")
    return "\n".join(lines + ([""] + reasons if reasons else []))


def cells(name: str, figures: dict[str, Any], found: dict[str, Any]) -> list[str]:
    if "failed" in figures:
        return ["–"] * (len(COLUMNS) - 1)
    peak = figures["flop"] / figures["eager"] / 1e9 / found["tflops"]["bfloat16"]
    return [
        f"{figures['loss']['cpu']:.4g}",
        *(difference(figures["loss"], precision) for precision in TOLERANCE),
        f"{figures['flop'] / 1e9:.4g}",
        f"{figures['eager']:.1f}",
        f"{100 * peak:.0f} %",
        *(time_of(figures.get(way)) for way in ("compiled", "graphs")),
        gigabytes(figures["peak"]),
        gigabytes(counted(name, found["preset"])),
    ]


def difference(loss: dict[str, float], precision: str) -> str:
    """How far the device's loss is from the CPU's, as a share of it; marked where that is more than roundings explain."""
    share = abs(loss[precision] - loss["cpu"]) / abs(loss["cpu"])
    return f"{share:.1g}" if share <= TOLERANCE[precision] else f"**{share:.1g}**"


def time_of(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "–"


def gigabytes(count: int | None) -> str:
    return f"{count / 1e9:.1f}" if count is not None else "–"


def counted(name: str, preset: str) -> int | None:
    """Bytes that docs/scale.json says a step of the training holds at most."""
    units = json.loads(COUNTS.read_text()).get(preset, {"units": []})["units"]
    return next((unit["peak"] for unit in units if (unit["step"], unit["what"]) == COUNTED.get(name)), None)
