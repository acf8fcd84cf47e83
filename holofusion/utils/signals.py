"""Signals that ask a job to stop: from a scheduler (time limit, preemption), from `kill`, or from the keyboard."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(Exception):
    """The step was asked to stop and has saved its state; the same command goes on from there."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number  # as a shell reports a process ended by this signal


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the signal by which this process was asked to stop, 0 if it was not.

    Such signals only take note, however many come: a scheduler sends them to a process and to its parent, who passes them on.
    """
    received = [0]

    def note(number: int, _: object) -> None:
        received[0] = received[0] or number

    before = {number: signal.signal(number, note) for number in ASKING}
    try:
        yield lambda: received[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
