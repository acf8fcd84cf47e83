"""Notice by content when photographs or masks that prepared data was made from change on disk.

`prepare` lists size, time of change and SHA-256 of every file it used. Later only files whose size or time differ are read.
The time is that of the inode: copying a file over another with its date kept does not set it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from holofusion.utils.files import read_json, sha256_of, write_json

PHOTOGRAPHS_FILE = "photographs.json"

Stamp = tuple[int, int, str]  # size in bytes, time of change in ns, SHA-256


def stamp_of(path: Path) -> Stamp:
    """Of a file as it is now."""
    status = path.stat()
    return status.st_size, status.st_ctime_ns, sha256_of(path)


def write_stamps(folder: Path, stamps: dict[str, Stamp]) -> None:
    """Note what was used, by path below the data root, in a folder of prepared data."""
    write_json(folder / PHOTOGRAPHS_FILE, {"files": {name: list(stamp) for name, stamp in sorted(stamps.items())}})


def changed_photographs(folder: Path, inputs: Iterable[str], digest: Callable[[Path], str]) -> str | None:
    """What speaks against prepared data because of its photographs; None if they are as they were, or not there.

    inputs: names of what it was made from; photographs of one's own are the absolute ones.
    digest: SHA-256 of a file, remembered or not.
    """
    if not (folder / PHOTOGRAPHS_FILE).is_file():
        return None
    stamps = read_json(folder / PHOTOGRAPHS_FILE)["files"]
    for name in inputs:
        category = Path(name)
        if not category.is_absolute() or not category.is_dir():
            continue
        changed = [file for file, stamp in stamps.items() if not _same(category.parent / file, stamp, digest)]
        if changed:
            return (
                f"made from other photographs or masks than are there now: {len(changed)} of {len(stamps)} files below "
                f"{category} differ, the first {changed[0]}"
            )
    return None


def _same(path: Path, stamp: Stamp, digest: Callable[[Path], str]) -> bool:
    if not path.is_file():
        return False
    status = path.stat()
    if (status.st_size, status.st_ctime_ns) == tuple(stamp[:2]):
        return True
    return status.st_size == stamp[0] and digest(path) == stamp[2]
