"""A stand-in for the program that the workflow's rules call: `python -m holofusion` runs it, all else is the real package."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def stand_in(folder: Path, program: str) -> Path:
    """A folder for PYTHONPATH in which `holofusion.__main__` is this Python program, and the rest is the repository's."""
    package = folder / "holofusion"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"__path__.append({str(REPOSITORY / 'holofusion')!r})\n")
    (package / "__main__.py").write_text(program)
    return folder


def shell_stand_in(folder: Path, script: str) -> Path:
    """The same with a shell script, which gets the arguments."""
    return stand_in(folder, f"import os, sys\nos.execv('/bin/bash', ['bash', '-c', {script!r}, 'sh', *sys.argv[1:]])\n")
