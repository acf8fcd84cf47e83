"""Fixtures for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import load_step, write_resolved

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: side by side, the last file to end should be a short one."""
    rank: dict[Path, int] = {}
    for item in items:
        long = [
            item.get_closest_marker("cluster"),
            item.get_closest_marker("slow"),
            "workflow" in item.path.parts,
            True,
        ]
        rank[item.path] = min(list(map(bool, long)).index(True), rank.get(item.path, len(long)))
    items.sort(key=lambda item: rank[item.path])


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


@pytest.fixture(scope="session")
def prepared_smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data of the smoke preset's one category. Not to be changed."""
    from holofusion.data.preparation.prepare import prepare
    from holofusion.data.synthetic.dataset import make_dataset

    project = copy_settings(tmp_path_factory.mktemp("prepared") / "project")
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), results)
    step = load_step(results / "config/dataset/hydrant.yaml")
    make_dataset(step.settings.synthetic, "hydrant", 0, results / "dataset", 1)
    step = load_step(results / "config/prepare/hydrant.yaml")
    prepare(step.settings, "hydrant", 0, results / "dataset", results / "data/hydrant", step.hash, 1)
    return results / "data/hydrant"


@pytest.fixture(scope="session")
def trained(repository: Path, prepared_smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline's results with one scene of every stage, see tests/trained.py. Not to be changed."""
    from tests.trained import train

    return train(repository, prepared_smoke, tmp_path_factory.mktemp("trained"))


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
def edit() -> Callable[..., None]:
    """A function that sets dotted keys in the params.yaml of a folder (or another file), whatever their values were."""

    def change(project: Path, file: str = "params.yaml", drop: str | None = None, **values: object) -> None:
        path = project / file
        content = yaml.safe_load(path.read_text())
        if file == "params.yaml":
            content = load_params(path).model_dump(exclude_unset=True)
        for key, value in values.items():
            *parents, last = key.split(".")
            section = content
            for parent in parents:
                section = section.setdefault(parent, {})
            section[last] = value
        if drop is not None:
            section, last = drop.split(".")
            del content[section][last]
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    return change


@pytest.fixture(scope="session")
def holofusion() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs the command `holofusion` with the given arguments."""

    def run(*arguments: object, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from holofusion.cli.main import main; main()", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)

    return run
