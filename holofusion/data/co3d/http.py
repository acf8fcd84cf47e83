"""Fetch one file over HTTP: continue where it stopped, retry after a failure, leave nothing half-written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

import requests

from holofusion.utils.files import UserError

TRIES = 4  # in a row without getting any further
PAUSE = 1.0  # seconds before the second try, doubled before each further one
TIMEOUT = (10, 20)  # seconds to connect, and between two pieces
CHUNK = 1 << 16
PASSING = {408, 425, 429}  # statuses that may be gone at the next try, like all of 500 and more


T = TypeVar("T")


class Stopped(Exception):
    """The transfer was told to stop; what had arrived is kept."""


class DiskError(UserError):
    """Nothing more can be written to the disk."""


class _Again(Exception):
    """A failure that may be gone at the next try."""


def partial(target: Path) -> Path:
    """Where a file lies until it is complete."""
    return target.with_name(target.name + ".part")


def remote_size(url: str, stop: Event) -> int | None:
    """Bytes of the file at `url`, by a HEAD request; None where the server does not tell.

    Raises UserError when it is not there, or the server cannot be reached.
    """

    def ask() -> int | None:
        try:
            response = requests.head(url, headers=_plain(), timeout=TIMEOUT, allow_redirects=True)
        except requests.RequestException as error:
            raise _Again(_reason(error)) from None
        if response.status_code in (405, 501):  # no HEAD here: GET will tell
            return None
        _check_status(url, response)
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    return _patiently(url, ask, lambda: 0, stop)


def fetch(url: str, target: Path, size: int | None, advance: Callable[[int], None], stop: Event) -> Path:
    """Download `url` to `partial(target)`, from where an earlier try stopped; returns that path once it is complete.

    size: bytes expected, or None.  advance: told of bytes that arrive (negative: thrown away).
    A server that cannot serve ranges sends the file anew. Raises UserError after several tries in vain, DiskError
    when the disk takes no more, Stopped when `stop` is set; what has arrived is kept in each case.
    """
    part = partial(target)
    _patiently(url, lambda: _receive(url, part, size, advance, stop), lambda: _length(part), stop)
    return part


def fetch_text(url: str, stop: Event) -> str:
    """A small text file. Raises UserError after several tries in vain."""

    def ask() -> str:
        try:
            response = requests.get(url, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise _Again(_reason(error)) from None
        _check_status(url, response)
        return response.text

    return _patiently(url, ask, lambda: 0, stop)


def _patiently(url: str, ask: Callable[[], T], reached: Callable[[], int], stop: Event) -> T:
    """Call `ask` until it succeeds, pausing longer each time; give up after TRIES that got no further than before."""
    best, failures = reached(), 0
    while True:
        try:
            return ask()
        except _Again as error:
            failures = 1 if reached() > best else failures + 1
            best = max(best, reached())
            if failures == TRIES:
                kept = "; what has arrived is kept, the same command goes on from there" if best else ""
                raise UserError(f"{url}: {error}, {TRIES} times in a row{kept}") from None
            if stop.wait(PAUSE * 2 ** (failures - 1)):
                raise Stopped from None


def _receive(url: str, part: Path, size: int | None, advance: Callable[[int], None], stop: Event) -> None:
    offset = _length(part)
    if size is not None and offset >= size:
        if offset == size:
            return
        offset = _discard(part, advance)
    headers = _plain() | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code != 416:
                _check_status(url, response)
            if offset and not _continues(response, offset):
                offset = _discard(part, advance)
                if response.status_code != 200:
                    raise _Again("the server cannot go on where the file stopped")
            length = response.headers.get("Content-Length", "")
            size = size or (offset + int(length) if length.isdigit() else None)
            _write(response, part, advance, stop)
    except requests.RequestException as error:
        raise _Again(_reason(error)) from None
    if size is not None and _length(part) != size:
        raise _Again(f"ended after {_length(part)} of {size} bytes")


def _write(response: requests.Response, part: Path, advance: Callable[[int], None], stop: Event) -> None:
    try:
        with open(part, "ab", buffering=0) as file:  # nothing is lost in a buffer when the process is killed
            for piece in response.iter_content(CHUNK):
                left = memoryview(piece)
                while left:
                    left = left[file.write(left) :]
                advance(len(piece))
                if stop.is_set():
                    raise Stopped
    except requests.RequestException:  # these are OSErrors, too
        raise
    except OSError as error:
        text = f"{part}: cannot be written ({error.strerror}); what has arrived is kept"
        raise DiskError(f"{text}: make room, and run the same command again") from None


def _continues(response: requests.Response, offset: int) -> bool:
    """Whether an answer begins at byte `offset`."""
    start = re.match(rf"bytes {offset}-", response.headers.get("Content-Range", ""))
    return response.status_code == 206 and start is not None


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status >= 500 or status in PASSING:
        raise _Again(f"HTTP {status} {response.reason}")
    if status not in (200, 206):
        raise UserError(f"{url}: HTTP {status} {response.reason}; is the link list out of date?")


def _discard(part: Path, advance: Callable[[int], None]) -> int:
    advance(-_length(part))
    part.unlink()
    return 0


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _plain() -> dict[str, str]:
    return {"Accept-Encoding": "identity"}  # byte ranges count the bytes as stored


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError) and not isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "cannot be reached, or the connection broke"
    return "the connection broke"
