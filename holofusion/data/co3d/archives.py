"""Unpack an archive of the release into its category's folder, and nowhere else. Nothing half-written stays."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from threading import Event

from holofusion.data.co3d.http import DiskError, Stopped
from holofusion.utils.files import UserError

SUBSETS = "category_to_subset_name_list.json"
LARGEST = 20  # photographs hardly shrink: an archive that grows by more than this is no data set
SMALL = 100_000_000  # bytes; below this, no growth does harm

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def fault(path: Path) -> str | None:
    """What is wrong with the bytes of a zip file, every member's CRC checked; None if nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except BROKEN as error:
        return f"not a whole zip file ({error})"
    return f"{bad} is damaged (its CRC does not match)" if bad else None


def unpack(path: Path, root: Path, category: str, stop: Event) -> tuple[int, bytes | None]:
    """Unpack the members below `category`/ of a zip file into ROOT/category, replacing files of the same name.

    Files appear there whole, after all of them were read and their CRC checked. Returns their number, and the content
    of the archive's own list of set lists, if it holds one. Raises UserError when a member would leave the folder, is a
    link, or the archive is broken or grows beyond LARGEST times its size; DiskError when the disk takes no more.
    """
    staging = path.with_name(path.name + ".unpacking")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _refuse_unsafe(path, members)
            wanted = [member for member in members if PurePosixPath(member.filename).parts[:-1][:1] == (category,)]
            if not wanted:
                raise UserError(f"{path}: holds nothing of {category}/; is the link list right?")
            for member in wanted:
                if stop.is_set():
                    raise Stopped
                _write(archive, member, staging)
            subsets = archive.read(SUBSETS) if SUBSETS in archive.namelist() else None
        for member in wanted:
            target = root / member.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / member.filename, target)
    except BROKEN as error:
        raise UserError(f"{path}: cannot be unpacked ({error}); delete it to download it anew") from None
    except OSError as error:
        text = f"{error.filename or root}: cannot be written ({error.strerror}); {path.name} is kept"
        raise DiskError(f"{text}: make room, and run the same command again") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return len(wanted), subsets


def _refuse_unsafe(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise UserError naming the first member that may not be unpacked."""
    for member in members:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        parts = PurePosixPath(name).parts
        reason = None
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or not parts:
            reason = "its path leaves the folder"
        elif kind not in (0, stat.S_IFREG):
            reason = "it is a link" if kind == stat.S_IFLNK else "it is no ordinary file"
        if reason:
            raise UserError(f"{path}: refused, nothing was unpacked: member {member.orig_filename!r}: {reason}")
    packed, total = path.stat().st_size, sum(member.file_size for member in members)
    if total > max(SMALL, LARGEST * packed):
        raise UserError(
            f"{path}: refused, nothing was unpacked: its {packed} bytes would grow to {total}, over {LARGEST} times"
        )


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, staging: Path) -> None:
    target = staging / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    # reading stops at the size that the directory states, and then checks the CRC
    with archive.open(member) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
