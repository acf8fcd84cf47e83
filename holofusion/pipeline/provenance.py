"""Record what every artefact was made from: hashes of its settings, its inputs, the code, and its own content.

A folder keeps this in provenance.json, a metrics file under the key `provenance`. Whether an artefact is what its settings
ask for is then a question of content, whatever the file times say: `holofusion/pipeline/verify.py` answers it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holofusion.pipeline.code import code_hash
from holofusion.pipeline.job import Resolved
from holofusion.pipeline.photographs import PHOTOGRAPHS_FILE
from holofusion.pipeline.steps import STEPS
from holofusion.utils.files import UserError, read_json, reading, sha256_of, write_json

FILE, KEY = "provenance.json", "provenance"

# Beside an artefact, or of its last saving, but not part of it.
NOT_CONTENT = {FILE, PHOTOGRAPHS_FILE, "state", "lock.json", "MODEL_CARD.md"}  # the card tells times
# Differ between runs that are otherwise alike.
TIMES = ("seconds", "sample_seconds", "render_seconds")


class Digests:
    """SHA-256 of files and folders; those of files are remembered by size and time of change, if `memory` is given."""

    def __init__(self, memory: Path | None = None) -> None:
        self.memory = memory
        self.before: dict[str, Any] = _remembered(memory) if memory and memory.is_file() else {}
        self.now: dict[str, list[Any]] = {}
        self.seen: dict[Path, str] = {}  # folders, of which many artefacts were made

    def of(self, path: Path) -> str:
        """Of a file: its bytes; of JSON its values, without `provenance`. Of a folder: names and content of its files.

        In a folder, times that a step took are left out of JSON files.
        """
        if path.is_file():
            return self._file(path, times=True)
        if path not in self.seen:
            self.seen[path] = self._folder(path, _content(path))
        return self.seen[path]

    def of_input(self, path: Path, results: Path) -> str:
        """The same; but of photographs in CO3D layout elsewhere the annotations alone: `photographs.py` sees to the pictures."""
        annotations = [*path.glob("*.jgz"), *path.glob("set_lists/*.json")]
        if annotations and Path(_name(path, results)).is_absolute():
            return self._folder(path, annotations)
        return self.of(path)

    def _folder(self, path: Path, files: Iterable[Path]) -> str:
        digest = hashlib.sha256()
        for file in sorted(files):
            digest.update(f"{file.relative_to(path)}\0{self._file(file, times=False)}\n".encode())
        return digest.hexdigest()

    def _file(self, path: Path, times: bool) -> str:
        status, name = path.stat(), f"{path}{'' if times else '#'}"
        known = self.now.get(name) or self.before.get(name)
        if known is None or known[:2] != [status.st_size, status.st_ctime_ns]:
            digest = _json_digest(path, times) if path.suffix == ".json" else sha256_of(path)
            known = [status.st_size, status.st_ctime_ns, digest]
        self.now[name] = known
        return known[2]

    def remember(self) -> None:
        """Write what was found to the file `memory`."""
        if self.memory:
            write_json(self.memory, self.now)


def _remembered(memory: Path) -> dict[str, Any]:
    """What an earlier run noted; nothing where that is damaged, since it only saves time."""
    try:
        content = read_json(memory)
    except UserError:
        return {}
    rows = content.items() if isinstance(content, dict) else ()
    return {name: row for name, row in rows if isinstance(row, list) and len(row) == 3}


def _content(folder: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name in NOT_CONTENT or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _content(path)
        else:
            yield path


def _json_digest(path: Path, times: bool) -> str:
    """Of the values that a JSON file holds, however they are written, but for its provenance."""
    content = read_json(path)
    if isinstance(content, dict):
        content.pop(KEY, None)
    text = json.dumps(content if times else _timeless(content), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in TIMES}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def provenance_of(artefact: Path) -> dict[str, Any] | None:
    """What was recorded of an artefact; None if nothing was."""
    if artefact.is_dir():
        return read_json(artefact / FILE) if (artefact / FILE).is_file() else None
    with reading(artefact):
        return read_json(artefact).get(KEY)


def record(resolved: Resolved, artefact: Path, inputs: Iterable[Path], results: Path) -> None:
    """Note what `artefact` has just been made from: under `inputs`, the hashes of its inputs, and of theirs in turn.

    So a change far up is seen even where something in between has been deleted to save space. An input that holds shards
    counts as these, one that holds a folder per category as that of its own. Inputs below the folder `results` are named
    from there, others by their path.
    """
    digests = Digests()
    traced: dict[str, Any] = {}
    for part in (part for path in inputs for part in parts_of(path, resolved.category)):
        name = _name(part, results)
        # what lies elsewhere may have been made in another results folder, where names mean other things
        recorded = not Path(name).is_absolute() and (part.is_dir() or part.suffix == ".json")
        facts = (provenance_of(part) if recorded else None) or {}
        traced |= facts.get("inputs", {})
        own = {key: facts[key] for key in ("step", "name", "config_hash") if key in facts}
        traced[name] = {"content": digests.of_input(part, results), **own}
    facts = {
        "step": resolved.step,
        "name": resolved.name,
        "config_hash": resolved.hash,
        "inputs": dict(sorted(traced.items())),
        "code": code_hash(STEPS[resolved.step], resolved.method),
    }
    if artefact.is_dir():
        write_json(artefact / FILE, facts | {"content": digests.of(artefact)})
    else:
        content = read_json(artefact)
        content.pop(KEY, None)
        write_json(artefact, content | {KEY: facts | {"content": digests.of(artefact)}})


def parts_of(path: Path, category: str | None) -> list[Path]:
    """The artefacts that an input folder stands for: its shards, the folder of the category, or itself."""
    if category and (path / category).is_dir():
        return [path / category]
    shards = sorted((part for part in path.glob("[0-9]*") if (part / FILE).is_file()), key=lambda part: int(part.name))
    return shards or [path]


def _name(path: Path, results: Path) -> str:
    # links are not followed: version control may have made a file one into its cache
    path, results = Path(os.path.abspath(path)), Path(os.path.abspath(results))
    return path.relative_to(results).as_posix() if path.is_relative_to(results) else str(path)
