"""A case of bad input: a command, and what spoils the sound folder that it is given; and ways to spoil a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Spoil = Callable[[Path, Any], None]
NUMBERS = st.integers(-(10**6), -1) | st.floats(-1e9, -1e-3)
WORDS = st.text("abcdefgh", min_size=3, max_size=8).map(lambda word: f"x{word}")
NOT_JSON = st.binary(min_size=1, max_size=40).map(lambda content: b"{" + content)
NOT_A_PICTURE = st.binary(max_size=60).map(lambda content: b"\x89PNG\r\n\x1a\n" + content)
NOTHING = st.none()


@dataclass(frozen=True)
class Case:
    """name: what is wrong. command: with {folder}. spoil(folder, value): makes it wrong, with a value from `values`."""

    name: str
    command: str
    spoil: Spoil
    values: st.SearchStrategy[Any] = NOTHING

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


def edited(file: str, change: Callable[[Any, Any], Any]) -> Spoil:
    """Spoils a JSON file: `change(content, value)` changes it in place, or returns another content."""

    def spoil(folder: Path, value: Any) -> None:
        path = folder / file
        content = json.loads(path.read_text())
        found = change(content, value)
        path.write_text(json.dumps(content if found is None else found))

    return spoil


def written(file: str) -> Spoil:
    """Spoils a file: the value, bytes, is all that it holds."""
    return lambda folder, value: (folder / file).write_bytes(value) and None


def gone(*files: str) -> Spoil:
    def spoil(folder: Path, value: Any) -> None:
        for file in files:
            path = folder / file
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def cut(file: str) -> tuple[Spoil, st.SearchStrategy[float]]:
    """Spoils a file: cut to a share of its length."""

    def spoil(folder: Path, share: float) -> None:
        path = folder / file
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return spoil, st.floats(0.0, 0.95)


def put(*keys: str | int) -> Callable[[Any, Any], None]:
    """Sets the value at nested keys; `...` removes it."""

    def change(content: Any, value: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        if value is ...:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value

    return change
