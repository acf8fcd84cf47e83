"""Progress: one status line on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time


def say(message: str) -> None:
    """Print one plain line at once."""
    print(message, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as a short text: `42s`, `3m05s`, `2h04m`."""
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"


class Progress:
    """Counts steps of `total`; shows steps per second and time left.

    On a terminal one line is rewritten four times a second; elsewhere a line is printed every `every` seconds.
    """

    def __init__(self, label: str, total: int, start: int = 0, every: float = 20.0) -> None:
        self.label, self.total, self.start, self.done = label, total, start, start
        self.terminal = sys.stderr.isatty()
        self.period = 0.25 if self.terminal else every
        self.began = self.shown = time.monotonic()

    def advance(self, note: str = "", steps: int = 1) -> None:
        self.done += steps
        now = time.monotonic()
        if now - self.shown < self.period and self.done < self.total:
            return
        self.shown = now
        rate = (self.done - self.start) / max(now - self.began, 1e-9)
        left = duration((self.total - self.done) / rate)
        line = f"{self.label} {self.done}/{self.total}  {rate:.2f}/s  {left} left  {note}".rstrip()
        if self.terminal:
            end = "\n" if self.done >= self.total else ""
            print(f"\r\033[K{line}", end=end, file=sys.stderr, flush=True)
        else:
            say(line)
