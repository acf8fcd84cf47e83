"""Copy what a step prints into its log file: plain lines and tracebacks, without status lines."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

QUIET = "HOLOFUSION_QUIET"
STATUS = "\r\033[K"  # begins a status line that the terminal rewrites in place (see logs.Progress)


class Mirror(io.TextIOBase):
    """A text stream that passes everything on to `stream`, and to `log`; of status lines one every `every` seconds,
    and the last one before anything else is printed.
    """

    def __init__(self, stream: TextIO, log: TextIO, every: float = 20.0) -> None:
        self.stream, self.log, self.every = stream, log, every
        self.noted = time.monotonic()
        self.status = ""  # the last status line, not yet in the log
        self.open = False  # whether the log's last line still lacks its end

    def write(self, text: str) -> int:
        self.stream.write(text)
        if text.startswith(STATUS):
            self.status = text.removeprefix(STATUS)
            if time.monotonic() - self.noted >= self.every:
                self._note()
        elif text:
            self._note()
            self.note("\n" + text if self.open and not text.startswith("\n") else text)
            self.open = False
        return len(text)

    def note(self, text: str) -> None:
        """Write to the log alone. A log that cannot be written, as on a full disk, costs nothing but itself."""
        with suppress(OSError):
            self.log.write(text)

    def _note(self) -> None:
        if self.status:
            self.note(("\n" if self.open else "") + self.status)
            with suppress(OSError):
                self.log.flush()
            self.noted, self.status, self.open = time.monotonic(), "", True

    def flush(self) -> None:
        self.stream.flush()
        with suppress(OSError):
            self.log.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()


def mirror_to(path: Path) -> None:
    """From now on, copy standard output and standard error to the file at `path`, replacing what it held.

    The file alone gets them where QUIET is set in the environment: a run of many jobs has a display of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    log = open(path, "w", encoding="utf-8", buffering=1)  # open until the process ends
    quiet = bool(os.environ.get(QUIET))
    sys.stdout = Mirror(open(os.devnull, "w") if quiet else sys.stdout, log)
    sys.stderr = Mirror(open(os.devnull, "w") if quiet else sys.stderr, log)


def note_in_log(text: str) -> None:
    """Write to the log file alone, if there is one."""
    if isinstance(sys.stderr, Mirror):
        sys.stderr.note(text)
