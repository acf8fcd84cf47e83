"""Measure speed and memory on a finished run, and write RESULTS/bench.json.

python -m benchmarks [--results RESULTS]           everything, a few minutes; other work on the machine spoils it
python -m benchmarks --only unet loading           some parts; nothing is written unless --out names a file
python -m benchmarks --needs                       print the file that has to be there first, as `make bench` does
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import growth, loading, parallel, rendering, sample_time, startup, step_profile, synchronisations, unet
from benchmarks.context import DEVICE, Context, start_process
from benchmarks.table import table
from holofusion.utils.files import UserError, read_json, write_json
from holofusion.utils.precision import resolve_precision
from holofusion.utils.progress import say

# Every part is a function of the context, and returns figures by name: mappings with `min`, `median` and `max`, which may
# hold more. To add one, add its line.
PARTS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "unet": unet.measure,
    "rendering": rendering.measure,
    "step_profile": step_profile.measure,
    "loading": loading.measure,
    "startup": startup.measure,
    "growth": growth.measure,
    "parallel": parallel.measure,
    "synchronisations": synchronisations.measure,
    "sample_time": sample_time.measure,
}


def main() -> int:
    given = arguments()
    try:
        preset = given.preset or read_json(given.results / "preset.json")["preset"]
        out = given.out or given.results / "bench.json"
        context = Context.open(given.results, preset, out.parent / "figures", given.rounds)
        needed = context.run / "model.safetensors"
        if given.needs:
            print(needed)
            return 0
        if not needed.is_file():
            raise UserError(f"{needed}: not made yet; run `make bench`, which begins with it")
        found = measure(context, given.only or list(PARTS))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(found))
    if given.out or not given.only:
        write_json(out, found)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a run")
    parser.add_argument("--preset", help="its settings; by default those that it was started with")
    parser.add_argument("--out", type=Path, help="file to write; by default RESULTS/bench.json")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=7, help="of every comparison")
    parser.add_argument("--needs", action="store_true", help="print the file that is measured on, and stop")
    return parser.parse_args()


def measure(context: Context, parts: list[str]) -> dict[str, Any]:
    """The machine, and the figures of these parts."""
    start_process(context.threads)
    found = {"machine": machine(context)}
    for name in parts:
        say(f"benchmarks: {name}")
        found |= PARTS[name](context)
    return found


def machine(context: Context) -> dict[str, Any]:
    """What the figures were measured on, and with."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", info.read_text()) if info.is_file() else None
    return {
        "cpu": named[1] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": context.threads,
        "precision": resolve_precision(DEVICE, context.training.settings.volume.precision),
        "torch": torch.__version__,
        "preset": context.params.preset,
        "rounds": context.rounds,
    }


if __name__ == "__main__":
    sys.exit(main())
