"""Fixtures for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A function: folder name -> path of that folder of real data; skips the test where it is absent."""

    def folder(name: str) -> Path:
        path = REPOSITORY.parent / "shared" / "data" / name
        if not path.is_dir():
            pytest.skip(f"no real data at ../shared/data/{name}")
        return path

    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder with copies of params.yaml and config/, to edit freely."""
    return copy_settings(tmp_path / "project")


def copy_settings(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(REPOSITORY / "params.yaml", folder)
    shutil.copytree(REPOSITORY / "config", folder / "config")
    return folder


@pytest.fixture(scope="session")
def holofusion() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs the command `holofusion` with the given arguments."""

    def run(*arguments: object, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from holofusion.cli import main; main()", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)

    return run
