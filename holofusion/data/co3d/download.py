"""Download categories of CO3Dv2: several archives at a time, checked and unpacked. An interrupted download continues.

What is on its way lies in ROOT/_download: `NAME.part` while it arrives, `NAME` once its checksum is right, and a note
per category of what was unpacked. Every step ends in one rename or one note, so that a kill at any time loses nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any

from holofusion.data.co3d.archives import fault, unpack
from holofusion.data.co3d.download_record import FOLDER, Arrivals, alone_in, merge_subsets
from holofusion.data.co3d.http import DiskError, Stopped, fetch, fetch_text, partial, remote_size
from holofusion.data.co3d.releases import Archive, Release
from holofusion.utils.files import UserError, sha256_of
from holofusion.utils.progress import Progress, say, size

UNPACKED = 1.1  # bytes on disk per byte of archive: photographs hardly shrink, blocks are filled in part


@dataclass
class Job:
    """An archive still to come. target: the zip file.  bytes: its size, None where the server does not tell.

    trouble: why the size is not known.  present: bytes of it that are there already.
    """

    archive: Archive
    arrivals: Arrivals
    target: Path
    bytes: int | None = None
    trouble: str = "the server does not tell"
    present: int = 0


@dataclass
class Work:
    """What the threads of one download share."""

    root: Path
    keep: bool
    stop: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    progress: Progress | None = None
    endless: bool = False  # whether the total is not known

    def advance(self, count: int, note: str = "") -> None:
        with self.lock:
            if self.progress is None:
                return
            if self.endless:
                self.progress.total = max(self.progress.total, self.progress.done + count + 1)
            self.progress.advance(note, count)


def download(root: Path, release: Release, connections: int, keep: bool = False, dry_run: bool = False) -> None:
    """Bring the categories of `release` into ROOT/<category>.

    connections: archives fetched at a time.  keep: do not delete an archive once it is unpacked.
    dry_run: print what would come, and change nothing.
    A category that lies there without a note of ours is taken as it is. What failed does not stop the other archives.
    Raises UserError with one line per archive that could not be had, and before anything is fetched when the disk is
    too small.
    """
    work = Work(root, keep)
    if dry_run:
        _print_plan(work, _jobs(work, release), connections)
        return
    with alone_in(root):
        jobs = _jobs(work, release)
        if not jobs:
            return
        _ask_sizes(work, jobs, connections)
        _check_space(root, jobs, connections, keep)
        for arrivals in {job.archive.category: job.arrivals for job in jobs}.values():
            arrivals.write()
        _enter_set_lists(work, release, jobs)
        say(f"download: {len(jobs)} archives of {', '.join(release.archives)} into {root}; data licence CC BY-NC 4.0")
        total, present = sum(job.bytes or 0 for job in jobs), sum(job.present for job in jobs)
        work.progress = Progress("download", total, present, show=size)
        work.endless = any(job.bytes is None for job in jobs)
        errors = _run(work, jobs, connections, _bring)
    if errors:
        raise UserError("\n".join(errors))


def _jobs(work: Work, release: Release) -> list[Job]:
    """The archives still to come; says what is there."""
    jobs = []
    for category, archives in release.archives.items():
        arrivals = Arrivals(work.root, release.name, category, archives)
        if arrivals.foreign:
            say(f"{work.root / category}: is there, and not from here: taken as it is (move it away to download it)")
            continue
        left = [archive for archive in archives if not arrivals.arrived(archive)]
        if not left:
            say(f"{category}: complete, all {len(archives)} archives")
        jobs += [Job(archive, arrivals, work.root / FOLDER / archive.name) for archive in left]
    for job in jobs:
        for path in (job.target, partial(job.target)):
            if path.is_file():
                job.present = path.stat().st_size
                break
    return jobs


def _ask_sizes(work: Work, jobs: list[Job], connections: int) -> None:
    """Ask the server for the sizes of the archives. What cannot be had is found out, and said, when it is fetched."""

    def ask(work: Work, job: Job) -> None:
        try:
            job.bytes = job.present if job.target.is_file() else remote_size(job.archive.url, work.stop)
        except UserError as error:
            job.trouble = str(error)

    _run(work, jobs, connections, ask)
    unknown = [job for job in jobs if job.bytes is None]
    if unknown:
        say(f"download: size unknown of {len(unknown)} archives, left out of the sums: {unknown[0].trouble}")


def needed_bytes(jobs: Sequence[Job], connections: int, keep: bool) -> int:
    """Bytes of disk still needed: everything unpacked, and the archives that lie there at one time."""
    sizes = sorted((job.bytes or 0 for job in jobs), reverse=True)
    archives = sum(sizes) if keep else sum(sizes[:connections])
    return max(0, int(UNPACKED * sum(sizes)) + archives - sum(job.present for job in jobs))


def _check_space(root: Path, jobs: Sequence[Job], connections: int, keep: bool) -> None:
    needed, free = needed_bytes(jobs, connections, keep), shutil.disk_usage(root).free
    if needed > free:
        raise UserError(
            f"{root}: {size(free)} are free, {len(jobs)} archives need {size(needed)} while they are unpacked; "
            "make room, or name another folder"
        )


def _enter_set_lists(work: Work, release: Release, jobs: Sequence[Job]) -> None:
    waiting = {job.archive.category: job.arrivals for job in jobs if not job.arrivals.content["set_lists"]}
    if not waiting or release.metadata is None:
        return
    text = fetch_text(release.metadata, work.stop)
    for category, arrivals in waiting.items():
        merge_subsets(work.root, category, text, release.metadata)
        arrivals.content["set_lists"] = True
        arrivals.write()


def _run(work: Work, jobs: list[Job], connections: int, do: Callable[[Work, Job], None]) -> list[str]:
    """Do something with all jobs, some at a time; returns what went wrong."""
    errors = []
    with ThreadPoolExecutor(connections) as pool:
        futures = [pool.submit(do, work, job) for job in jobs]
        try:
            for future in as_completed(futures):
                try:
                    future.result()
                except Stopped:
                    pass
                except UserError as error:
                    errors.append(str(error))
                    if isinstance(error, DiskError):
                        work.stop.set()
        except BaseException:  # Ctrl-C, for one: let the threads come to a halt
            work.stop.set()
            say("download: stopping; what has arrived is kept, the same command goes on from there")
            raise
    return errors


def _bring(work: Work, job: Job) -> None:
    """Fetch, check and unpack one archive, and note it."""
    if work.stop.is_set():
        raise Stopped
    archive = job.archive
    if not job.target.is_file():
        _obtain(work, job)
    facts: dict[str, Any] = {"bytes": job.target.stat().st_size, "sha256": archive.sha256}
    work.advance(0, f"unpacking {archive.name}")
    facts["files"], subsets = unpack(job.target, work.root, archive.category, work.stop)
    with work.lock:
        if subsets is not None:
            merge_subsets(work.root, archive.category, subsets.decode(errors="replace"), archive.name)
        job.arrivals.add(archive, facts)
    if not work.keep:
        job.target.unlink()


def _obtain(work: Work, job: Job) -> None:
    """Download an archive until its checksum is right, twice at most."""
    archive = job.archive
    for _ in range(2):
        part = fetch(archive.url, job.target, job.bytes, lambda n: work.advance(n, archive.name), work.stop)
        wrong = _fault(archive, part)
        if wrong is None:
            os.replace(part, job.target)
            return
        work.advance(-part.stat().st_size, f"{archive.name} again")
        part.unlink()
    raise UserError(f"{archive.url}: {wrong}; downloaded twice, not used")


def _fault(archive: Archive, part: Path) -> str | None:
    """What is wrong with a download, if anything."""
    if archive.sha256 is None:
        say(f"{archive.name}: no SHA-256 is listed; accepted by its size and the CRC of its members")
        return fault(part)
    digest = sha256_of(part)
    return None if digest == archive.sha256 else f"SHA-256 is {digest}, the list says {archive.sha256}"


def _print_plan(work: Work, jobs: list[Job], connections: int) -> None:
    _ask_sizes(work, jobs, connections)
    for job in jobs:
        length = size(job.bytes) if job.bytes is not None else "size unknown"
        there = f", {size(job.present)} of it here" if job.present else ""
        print(f"{job.archive.name}  {length}{there}  {job.archive.url}")
    root = next(folder for folder in (work.root, *work.root.absolute().parents) if folder.exists())
    total, needed = sum(job.bytes or 0 for job in jobs), needed_bytes(jobs, connections, work.keep)
    free = shutil.disk_usage(root).free
    print(f"{len(jobs)} archives, {size(total)}; needs {size(needed)} of disk while unpacking, {size(free)} are free")
