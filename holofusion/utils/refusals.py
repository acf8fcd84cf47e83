"""One-line messages for what the operating system refuses: disk full, no permission, too many files, a killed worker."""

from __future__ import annotations

import errno
import os
import re
import shutil
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from holofusion.utils.extras import advice
from holofusion.utils.files import UserError

ADVICE = {
    errno.ENOSPC: "free some space, or name a folder on another disk",
    errno.EDQUOT: "free some of your quota, or name a folder elsewhere",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "ask for the permission, or name another folder",
    errno.EPERM: "ask for the permission, or name another folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine's limit of open files is reached",
    errno.EIO: "look at the disk: it could not be read or written",
    errno.ENOMEM: "free some memory, or make fewer things at a time",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ENOTDIR: "name a path below a folder",
    errno.EEXIST: "a file is where a folder should be: move it, or name another folder",
    errno.ENOENT: "see that it is there, and run the same command again",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or name a folder on another disk",
    errno.ESTALE: "the network folder was lost: mount it again",
}


SHARED = Path("/dev/shm")
SHARED_LEAST = 1 << 16  # bytes free in shared memory, below which it counts as full
SHARED_ADVICE = "shared memory is full: remove files there, give a container more (--shm-size), or give --threads 1"

IN_WORDS = re.compile(r"\(os error (\d+)\)|: [A-Z][\w ]+ \((\d+)\)$")
"""How libraries that are not Python tell of one: safetensors, and torch of shared memory."""


def in_one_line(error: BaseException) -> list[str]:
    """The lines that tell of an error: those of a UserError, one for a refusal of the operating system, a lack of
    memory or a missing extra.

    Empty for anything else, which is a fault of this program.
    """
    if isinstance(error, UserError):
        return str(error).splitlines()
    if isinstance(error, ModuleNotFoundError):
        return [line for line in [advice(error)] if line]
    if isinstance(error, BrokenProcessPool):
        return ["a worker process was killed, as happens when memory runs out; free some, or give fewer --threads"]
    if isinstance(error, MemoryError):
        return [f"out of memory; {ADVICE[errno.ENOMEM]}"]
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for this
        return ["out of GPU memory; let nothing else run there, or use a smaller batch"]
    if isinstance(error, OSError) and error.errno is not None:
        place = error.filename2 or error.filename
        return [_refusal(error.errno, f"{place}: " if place else "")]
    match = IN_WORDS.search(str(error)) if isinstance(error, Exception) else None
    if match is None:
        return []
    number = int(match[1] or match[2])
    told = re.sub(f"(: )?{re.escape(os.strerror(number))}", "", str(error)[: match.start()]).strip(": ")
    return [_refusal(number, f"{told}: " if told else "")]


def _refusal(number: int, place: str) -> str:
    # semaphores and tensors of worker processes lie there, and what fails names no file
    if number == errno.ENOSPC and not place.startswith("/") and _is_full(SHARED):
        return f"{SHARED}: {os.strerror(number)}; {SHARED_ADVICE}"
    return f"{place}{os.strerror(number)}; {ADVICE.get(number, 'put that right, and run the same command again')}"


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < SHARED_LEAST
