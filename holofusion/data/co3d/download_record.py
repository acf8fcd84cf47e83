"""Record which archives of a category have arrived, so that a second run downloads nothing."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holofusion.data.co3d.archives import SUBSETS
from holofusion.data.co3d.releases import Archive
from holofusion.utils.files import UserError, read_json, write_json
from holofusion.utils.progress import say

ANNOTATIONS = "frame_annotations.jgz"  # FRAME_FILE of co3d.py, which loads torch
FOLDER = "_download"  # in ROOT: archives, parts of archives, notes


class Arrivals:
    """The note ROOT/_download/<category>.json: {release, set_lists, archives: {name: null | {bytes, sha256, files}}}.

    An archive is null until it is unpacked; set_lists tells whether the names of the set lists were entered.
    """

    def __init__(self, root: Path, release: str, category: str, archives: Sequence[Archive]) -> None:
        """Read the note, if there is one. Raises UserError when the folder holds another release of the category."""
        self.path, folder = note_of(root, category), root / category
        self.foreign = not self.path.is_file() and (folder / ANNOTATIONS).is_file()  # somebody else put it there
        noted: dict[str, Any] = read_json(self.path) if self.path.is_file() else {"release": release, "archives": {}}
        if noted["release"] != release:
            raise UserError(f"{folder}: holds the release {noted['release']!r}, not {release!r}; name another folder")
        past = noted["archives"] if folder.is_dir() else {}
        done = {archive.name: past.get(archive.name) for archive in archives}
        for archive in archives:
            known = {archive.sha256, (done[archive.name] or {}).get("sha256")} - {None}
            if len(known) > 1:
                done[archive.name] = None  # the list names another content by now
        self.content: dict[str, Any] = {
            "release": release,
            "set_lists": noted.get("set_lists", False) and folder.is_dir(),
            "archives": done,
        }

    def arrived(self, archive: Archive) -> bool:
        return self.content["archives"][archive.name] is not None

    def add(self, archive: Archive, facts: dict[str, Any]) -> None:
        """Note that an archive is unpacked."""
        self.content["archives"][archive.name] = facts
        self.write()

    def write(self) -> None:
        write_json(self.path, self.content)


def note_of(root: Path, category: str) -> Path:
    return root / FOLDER / f"{category}.json"


def unfinished(root: Path, category: str) -> list[str]:
    """Names of the archives of a category whose download was begun but not finished."""
    note = note_of(root, category)
    if not note.is_file():
        return []
    return [name for name, facts in read_json(note)["archives"].items() if facts is None]


def merge_subsets(root: Path, category: str, text: str, source: str) -> None:
    """Enter one category's names of set lists, as the JSON `text` gives them, into the list at ROOT; others stay.

    source: named in errors. Raises UserError when it is not such a list.
    """
    try:
        names = [str(name) for name in json.loads(text).get(category, [])]
    except (ValueError, AttributeError, TypeError):
        raise UserError(f"{source}: expected a JSON object of lists of set list names by category") from None
    path = root / SUBSETS
    present = read_json(path) if path.is_file() else {}
    merged = list(dict.fromkeys([*present.get(category, []), *names]))
    if merged != present.get(category, []):
        write_json(path, present | {category: merged})


@contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Wait until no other download into this folder is at work."""
    folder = root / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w")
    except OSError as error:
        raise UserError(f"{folder}: cannot be made or written ({error.strerror})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{root}: another download into this folder is at work; waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(f"{folder / 'lock'}: cannot be locked ({error.strerror}); name another folder") from None
        yield
