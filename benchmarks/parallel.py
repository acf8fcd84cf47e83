"""How well two processes share a training.

`measure` starts two processes, which then train in turn: the first alone, both together, the first alone, ... Both do the
same steps, through the loop that every training goes through; starting the processes does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.context import DEVICE, Context, changed, start_process
from benchmarks.timing import Ratios
from holofusion.training.loop import TrainingRun, fit
from holofusion.training.parallel import Group, joined
from holofusion.utils.files import UserError, read_json, write_json

STEPS = 2  # of a measurement
MEMORY = Path("/dev/shm")


def measure(context: Context) -> dict[str, Any]:
    """Seconds of a step in one process over twice those in two, each with the threads of a training."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "seconds.json"
        run_workers(context, found)
        seconds = Ratios(**read_json(found))
    return {"data_parallel_efficiency": {**seconds.summary(0.5), "processes": 2, "threads_each": context.threads}}


def run_workers(context: Context, found: Path) -> None:
    """Two processes that do `work`. Raises UserError with the end of what they said when they fail."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "--",
        "benchmarks.parallel",
        "--results",
        context.results,
        "--preset",
        context.params.preset,
        "--rounds",
        str(context.rounds),
        "--out",
        found,
    ]
    # one that waits for the other must not keep a core busy
    environment = os.environ | {"OMP_NUM_THREADS": str(context.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise UserError(f"benchmarks.parallel: the two processes failed: {done.stderr.strip()[-2000:]}")


def work(context: Context, out: Path) -> None:
    """One of the two processes: take turns, and write the seconds per step of every round, alone and together."""
    settings = context.training.settings
    method = context.joint_method(changed(settings, training={"steps": STEPS, "checkpoint_every": STEPS}))
    seconds: dict[str, list[float]] = {"first": [], "second": []}
    # in memory: a disk that is still writing the last turn's state would slow the next one
    with joined(DEVICE) as group, tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:

        def train(turn: str, of: Group) -> float:
            place = Path(folder) / turn
            fit(method, TrainingRun(context.seed, 2, context.data, place, turn, of, lambda: None), turn)
            log = place / "log.jsonl"  # what it says of the last step leaves out saving the state
            return json.loads(log.read_text().splitlines()[-1])["seconds"] / STEPS if of.rank == 0 else 0.0

        for number in range(context.rounds + 1):
            if group.rank == 0:
                seconds["first"].append(train(f"alone-{number}", Group(0, 1, DEVICE)))
            group.wait()
            seconds["second"].append(train(f"together-{number}", group))
        if group.rank == 0:
            write_json(out, {name: values[1:] for name, values in seconds.items()})  # the first turns warm up


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    context = Context.open(given.results, given.preset, rounds=given.rounds)
    start_process(context.threads)
    work(context, given.out)


if __name__ == "__main__":
    main()
