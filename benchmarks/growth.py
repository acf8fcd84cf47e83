"""How time and peak memory grow with the sizes a user sets: exponents of power laws, each of an operation of the program.

Every size has a process of its own, forked from one that has done nothing but import. They take turns, one at a time.
Memory is what the operation needs at its peak on top of what lies there between two calls: model, inputs, libraries.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import re
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.context import Context, start_process
from benchmarks.operations import OPERATIONS
from benchmarks.timing import call_times, summary

ROUNDS = 3
PATIENCE = 120  # seconds for a process to answer


def measure(context: Context) -> dict[str, Any]:
    """Per operation: sizes, median seconds and 10^6 bytes at each, and the exponents of time and of memory over size."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["benchmarks.__main__"])
    rounds = min(context.rounds, ROUNDS)
    return {"growth": {name: growth_of(name, processes, context, rounds) for name in OPERATIONS}}


def growth_of(name: str, processes, context: Context, rounds: int) -> dict[str, Any]:
    sizes = OPERATIONS[name].sizes
    sized = [Sized(processes, context, name, size) for size in sizes]
    times = np.array([[one.seconds() for one in sized] for _ in range(rounds)])
    megabytes = [one.megabytes for one in sized]
    for one in sized:
        one.finish()
    return {
        "operation": OPERATIONS[name].what,
        "sizes": list(sizes),
        "seconds": [float(f"{value:.3g}") for value in np.median(times, 0)],
        "megabytes": [round(value, 1) for value in megabytes],
        "time_exponent": summary([exponent(sizes, row) for row in times]),
        "memory_exponent": summary([exponent(sizes, megabytes)]),
    }


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of the power law c * size^p that fits the values best: least squares of their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


class Sized:
    """A process that does one operation at one size when asked. megabytes: what that took at its peak, 10^6 bytes."""

    def __init__(self, processes, context: Context, name: str, size: int) -> None:
        self.pipe, other = processes.Pipe()
        arguments = (other, context.results, context.params.preset, name, size)
        self.process = processes.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        other.close()  # or the end of the process would not be noticed
        self.megabytes = self._answer()

    def seconds(self) -> float:
        """Of the operation, done anew."""
        self.pipe.send("run")
        return self._answer()

    def finish(self) -> None:
        self.pipe.send("end")
        self.process.join()

    def _answer(self) -> float:
        if not self.pipe.poll(PATIENCE):
            raise TimeoutError("a process of benchmarks.growth does not answer")
        return self.pipe.recv()


def serve(pipe: Connection, results: Path, preset: str, name: str, size: int) -> None:
    """Prepare the operation, say what memory it takes, and do it whenever asked."""
    context = Context.open(results, preset)
    torch.set_num_threads(context.threads)
    call = OPERATIONS[name].prepare(context, size)
    call()
    megabytes = peak_of(call)
    start_process(context.threads)  # keeps freed memory, as the program does, which would have hidden the peak
    call()
    pipe.send(megabytes)
    while pipe.recv() == "run":
        pipe.send(min(call_times(call, 0.1)))


def peak_of(call: Callable[[], object]) -> float:
    """10^6 bytes by which this process outgrows itself during a call. Linux only."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """A field of /proc/self/status in 10^6 bytes: VmRSS now, VmHWM at most so far."""
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6
