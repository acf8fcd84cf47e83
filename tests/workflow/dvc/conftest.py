"""A repository in which the pipeline has run under DVC, real but for the command: a stand-in records what it makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.dvc.clones import commit, with_environment
from tests.workflow.standin import stand_in

HERE = Path(__file__).parent
PRIVATE = {"PYTHONPATH", "CO3DV2_DATASET_ROOT", "SNAKEMAKE_PROFILE", "GIT_DIR"}


@pytest.fixture(scope="session")
def run(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a command line in a clone, with the stand-in for the steps, and returns what it printed."""
    commands = stand_in(tmp_path_factory.mktemp("stand_in"), (HERE / "recording_stub.py").read_text())
    environment = {key: value for key, value in os.environ.items() if key not in PRIVATE}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{commands}:{repository}",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
        "DVC_GLOBAL_CONFIG_DIR": str(commands / "none"),
        "DVC_SITE_CACHE_DIR": str(commands / "cache"),
    }

    def call(folder: Path, *arguments: object, fails: bool = False) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [str(part) for part in arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert (result.returncode != 0) == fails, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result

    return call


@pytest.fixture(scope="session")
def origin(repository: Path, run, edit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two small rows in which `dvc repro` has run, committed and pushed to a folder beside it."""
    folder = tmp_path_factory.mktemp("dvc") / "origin"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml", "Makefile", "requirements.lock", ".gitignore", ".dvcignore"):
        shutil.copy(repository / name, folder)
    for name in ("config", "workflow", ".dvc"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    edit(folder, methods=["pigan", "eg3d"], **{"sampling.shards": 1})
    run(folder, "git", "init", "-q")
    with open(folder / ".gitignore", "a") as file:
        file.write("calls.txt\n")
    with_environment(folder)
    run(folder, "dvc", "remote", "add", "--default", "store", folder.parent / "store")
    run(folder, "dvc", "repro")
    commit(run, folder, "first")
    run(folder, "make", "push")
    return folder


@pytest.fixture
def clone(origin: Path, run, tmp_path: Path) -> Path:
    """A fresh clone, nothing pulled yet."""
    run(tmp_path, "git", "clone", "-q", origin, tmp_path / "clone")
    with_environment(tmp_path / "clone")
    return tmp_path / "clone"
