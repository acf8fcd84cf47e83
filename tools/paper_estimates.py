"""Measure, on one CPU core, what each rule of the preset `paper` repeats most, and write the table of docs/paper-estimates.md.

python -m tools.paper_estimates         # everything, a process each
python -m tools.paper_estimates NAME    # one unit of tools/paper_units.py, as JSON
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

FASTER = 100  # cores that a GPU is taken to be worth
PAGE = Path(__file__).parents[1] / "docs" / "paper-estimates.md"
COLUMNS = ("rule", "measured", "core seconds", "GB", "times per job", "GPU hours per job")


def held() -> float:
    """Main memory of this process, in 10^9 bytes."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024 / 1e9


def measure(name: str) -> dict[str, float]:
    """Processor seconds of one unit, and the most memory of its process beyond the libraries, in 10^9 bytes.

    Freed memory goes back to the kernel, unlike in the program's steps, or the peak would be that of the C library's heap.
    The operating system's time, which that costs, does not count.
    """
    import torch

    from tools.paper_units import UNITS

    torch.set_num_threads(1)
    torch.manual_seed(0)
    libraries, unit = held(), UNITS[name]
    work = unit.prepare()
    began = used().ru_utime
    work()
    seconds = (used().ru_utime - began) / unit.of
    return {"seconds": seconds, "gb": used().ru_maxrss * 1024 / 1e9 - libraries}


def used() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_SELF)


def product_rate() -> float:
    """10^9 floating-point operations a second of one core in a product of bf16 matrices."""
    import torch

    torch.set_num_threads(1)
    side = 2048
    one, two = (torch.randn(side, side).bfloat16() for _ in range(2))
    one @ two
    began = time.process_time()
    for _ in range(10):
        one @ two
    return 10 * 2 * side**3 / (time.process_time() - began) / 1e9


def write_table() -> None:
    from tools.paper_units import UNITS

    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for name, unit in UNITS.items():
        command = [sys.executable, "-m", "tools.paper_estimates", name]
        output = subprocess.run(
            command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, cwd=PAGE.parents[1]
        )
        found = json.loads(output.stdout.splitlines()[-1])
        hours = found["seconds"] * unit.times / FASTER / 3600
        cells = (
            unit.rule,
            unit.what,
            f"{found['seconds']:.3g}",
            f"{found['gb']:.1f}",
            f"{unit.times:,.0f}",
            f"{hours:.2g}",
        )
        print(" ".join(cells), file=sys.stderr)
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"\nThe core did {product_rate():.0f} GFLOP/s in a product of bf16 matrices.")
    text, table = PAGE.read_text(), "\n".join(lines)
    PAGE.write_text(re.sub(r"(<!-- table -->\n).*(<!-- end -->)", rf"\g<1>{table}\n\2", text, flags=re.DOTALL))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        write_table()
