"""What every rule of the workflow pays before its work begins: a new Python that imports the program."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks.context import Context
from benchmarks.timing import alternate, summary

BARE = "import torch"
STEP = "import holofusion.cli.main, holofusion.steps.train"


def measure(context: Context) -> dict[str, Any]:
    """Seconds from the start of a training step's process until its imports are done; and over those of torch alone."""
    found = alternate(lambda: run(STEP), lambda: run(BARE), min(context.rounds, 5), least=0.0)
    return {"rule_overhead_seconds": {**summary(found.first), "over_torch_alone": found.summary()}}


def run(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True)
