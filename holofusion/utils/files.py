"""Atomic writes, JSON files and hashes, and the one error type for bad input."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

from safetensors import SafetensorError


class UserError(Exception):
    """Bad input. Its message is one line naming file, key or value and what would be right."""


DAMAGED = (
    AttributeError,
    EOFError,
    KeyError,
    IndexError,
    OverflowError,
    RuntimeError,
    SyntaxError,  # NumPy reads the head of its files as Python
    TokenError,
    TypeError,
    ValueError,
    SafetensorError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file raises that was cut, or whose values are not those that are looked for."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` only if the block succeeds.

    Works for a file or a folder: whichever the block creates. An existing target is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = holder / path.name
    try:
        yield temporary
        if temporary.is_dir() and path.exists():
            os.replace(path, holder / "replaced")
        os.replace(temporary, path)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def discard_unfinished(path: Path) -> None:
    """Remove what a writer of `path`, or of what lies in that folder, left when it was killed. None may be at work there."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    left = [other for other in beside if re.fullmatch(re.escape(f".{path.name}.") + r"[a-z0-9_]{8}", other.name)]
    left += [other for other in path.rglob(".*") if re.fullmatch(r"\..+\.[a-z0-9_]{8}", other.name)]
    for holder in left:
        if holder.is_dir():
            shutil.rmtree(holder)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, atomically. A list of numbers takes one line."""
    text = json.dumps(value, indent=2, allow_nan=False)
    text = re.sub(r"\[\n[-+.\deE,\s]+\]", lambda match: f"[{' '.join(match[0][1:-1].split())}]", text)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file. Raises UserError naming the file when it is missing or malformed."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:  # also of bytes that are no text, numbers too long, lists too deep
        raise UserError(f"{path}: not valid JSON ({error})") from None


@contextmanager
def reading(path: Path | str, remedy: str = "") -> Iterator[None]:
    """While a file that this program wrote is taken apart: what is missing, cut or of another kind is bad input.

    remedy: what puts it right. Raises UserError naming the file.
    """
    try:
        yield
    except DAMAGED as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which says nothing of the file
            raise
        said = f"no {error}" if isinstance(error, KeyError) else str(error).strip().splitlines() or ["empty"]
        reason = said if isinstance(said, str) else said[-1].strip()
        raise UserError(f"{path}: damaged, or of another version ({reason}){remedy and f'; {remedy}'}") from None


def sha256_of(*paths: Path | str) -> str:
    """Hex SHA-256 over the bytes of the files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
