"""Progress: one status line on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


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


def size(count: float) -> str:
    """Bytes as a short text in decimal units: `812 B`, `3.1 MB`, `20.4 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.95:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class Progress:
    """Counts steps of `total`; shows steps per second and time left. `show` writes a number of steps.

    On a terminal one line is rewritten four times a second; elsewhere a line is printed every `every` seconds.
    """

    def __init__(
        self, label: str, total: int, start: int = 0, every: float = 20.0, show: Callable[[float], str] | None = None
    ) -> None:
        self.label, self.total, self.start, self.done, self.show = label, total, start, start, show
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
        left = duration((self.total - self.done) / rate) if rate > 0 else "?"
        done, total, speed = map(self.show, (self.done, self.total, rate)) if self.show else self._plain(rate)
        line = f"{self.label} {done}/{total}  {speed}/s  {left} left  {note}".rstrip()
        if self.terminal:
            end = "\n" if self.done >= self.total else ""
            print(f"\r\033[K{line}", end=end, file=sys.stderr, flush=True)
        else:
            say(line)

    def _plain(self, rate: float) -> tuple[str, str, str]:
        return str(self.done), str(self.total), f"{rate:.2f}"
