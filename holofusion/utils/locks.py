"""A lock file for shared file systems. A dead owner (no heartbeat for 60 s) is replaced.

The owner's lock file names it and carries a beat that grows every few seconds. Whoever finds the file waits. An owner
that is dead is replaced: at once if its process is known to be gone, and otherwise when its beat has stood still for a
while on the waiter's own clock, since clocks of nodes differ.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from holofusion.utils.files import UserError, write_json
from holofusion.utils.progress import say

BEAT = 10.0  # seconds between beats
SILENCE = 60.0  # seconds without one after which an owner counts as dead
LOOK = 1.0  # seconds between a waiter's looks


@contextmanager
def owned(path: Path, silence: float = SILENCE, beat: float = BEAT) -> Iterator[Callable[[], None]]:
    """Hold the lock file `path` during the block; wait while a living process holds it.

    Yields a function to call before anything is overwritten: it raises UserError if another process has taken the lock
    over meanwhile (because this one had stood still).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    me = {
        "token": uuid.uuid4().hex,
        "pid": os.getpid(),
        "started": _start_of(os.getpid()),
        "machine": _machine(),
        "host": platform.node(),
        "job": os.environ.get("SLURM_JOB_ID"),
        "beat": 0,
    }
    _acquire(path, me, silence)

    def check() -> None:
        if _read(path).get("token") != me["token"]:
            raise UserError(f"{path}: another process has taken this over; leaving it to that one")

    done = threading.Event()
    threading.Thread(target=_keep_beating, args=(path, me, done, beat), daemon=True).start()
    try:
        yield check
    finally:
        done.set()
        if _read(path).get("token") == me["token"]:
            path.unlink()


@contextmanager
def finished_parts(out: Path, stamp: str) -> Iterator[tuple[Path, str]]:
    """Yield a folder beside `out` that outlives a kill, and `stamp`; it becomes `out` when the block succeeds.

    Its name carries the stamp, so only the same job with the same inputs finds its own finished parts in it. One job at a
    time works on it; another waits.
    """
    partial = out.parent / f".{out.name}-{stamp[:16]}"
    with owned(out.parent / f".{out.name}.lock") as check:
        partial.mkdir(parents=True, exist_ok=True)
        yield partial, stamp
        check()
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
        for stale in out.parent.glob(f".{out.name}-*"):
            shutil.rmtree(stale, ignore_errors=True)


def _acquire(path: Path, me: dict[str, Any], silence: float) -> None:
    seen: tuple[str, int] | None = None
    since = time.monotonic()
    while not _create(path, me):
        owner = _read(path)
        if not owner:
            continue  # released just now
        now = (owner["token"], owner["beat"])
        if seen is None or seen[0] != now[0]:
            say(f"{path}: waiting for {_name(owner)}")
        if now != seen:
            seen, since = now, time.monotonic()
        alive = _is_alive(owner)
        if alive is False or (alive is None and time.monotonic() - since > silence):
            if _remove(path, owner):
                say(f"{path}: {_name(owner)} is dead; taking over")
            continue
        time.sleep(LOOK)


def _create(path: Path, me: dict[str, Any]) -> bool:
    """Create the lock file with its content in one step; False if it exists. Linking is atomic on network drives too."""
    whole = path.with_name(f".{path.name}.{me['token']}")
    write_json(whole, me)
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    finally:
        whole.unlink()
    return True


def _remove(path: Path, owner: dict[str, Any]) -> bool:
    """Move a dead owner's file away; put it back if it is somebody else's by now, and return False."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):
        os.rename(path, aside)
        try:
            if _read(aside).get("token") == owner["token"]:
                return True
            with suppress(FileExistsError):
                os.link(aside, path)
        finally:
            aside.unlink()
    return False


def _keep_beating(path: Path, me: dict[str, Any], done: threading.Event, beat: float) -> None:
    while not done.wait(beat):
        if _read(path).get("token") != me["token"]:
            return
        me["beat"] += 1
        with suppress(OSError):  # a full disk must not end the run here
            write_json(path, me)


def _read(path: Path) -> dict[str, Any]:
    """The lock's content; empty when nobody holds it."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def _is_alive(owner: dict[str, Any]) -> bool | None:
    """Whether the owner's process is there; None if it is not among the processes that this one could see."""
    return _start_of(owner["pid"]) == owner["started"] if owner["machine"] == _machine() else None


def _machine() -> str:
    """Names the set of processes that this process can see: this boot of this machine, this container."""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{os.readlink('/proc/self/ns/pid')}"


def _start_of(pid: int) -> str | None:
    """When a process began, in the kernel's own count, which tells it from a later one of the same number; None: gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _name(owner: dict[str, Any]) -> str:
    job = f"job {owner['job']}, " if owner["job"] else ""
    return f"{job}process {owner['pid']} on {owner['host']}"
