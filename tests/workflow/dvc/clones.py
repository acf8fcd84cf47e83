"""What tests of version control share: clones with an environment, commits, and calls of the command."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def with_environment(folder: Path) -> None:
    """Give a clone this environment as its .venv, which the Makefile takes as made from the lock file."""
    environment = folder / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    shutil.copy(folder / "requirements.lock", environment / "made-from.lock")


def commit(run, folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "-qm", message)


def calls(folder: Path) -> set[str]:
    """What the command was called for since the last look."""
    path = folder / "calls.txt"
    found = set(path.read_text().splitlines()) if path.exists() else set()
    path.unlink(missing_ok=True)
    return found
