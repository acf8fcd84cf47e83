"""A miniature release, a server of it, and a function that downloads from there."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from holofusion.data.co3d import http as transfer
from holofusion.data.co3d.download import download
from holofusion.data.co3d.releases import read_release
from tests.data.co3d.downloads import SUBSETS, Run
from tests.data.co3d.release_server import Server, serving, write_lists, zip_of


def noise(seed: int, count: int = 400_000) -> bytes:
    return random.Random(seed).randbytes(count)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory, balls) -> tuple[Path, dict[str, bytes]]:
    """Apples in two archives and donuts in one, as the real release divides them: what is in them, and the files."""
    source, files = tmp_path_factory.mktemp("release"), {}
    for category, parts in (("apple", 2), ("donut", 1)):
        balls.write(source, balls.three(views=5), category)
        paths = [path for path in sorted((source / category).rglob("*")) if path.is_file()]
        for part in range(parts):
            members = {str(path.relative_to(source)): path.read_bytes() for path in paths[part::parts]}
            members[f"{category}/part{part}/pointcloud.ply"] = noise(part)
            files[f"{category}_{part:03d}.zip"] = zip_of(members)
    subsets = {"apple": ["fewview_dev"], "donut": ["fewview_dev"], "tv": ["manyview_test"]}
    return source, files | {SUBSETS: json.dumps(subsets).encode()}


@pytest.fixture
def server(tmp_path: Path, release: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the release, whose content lies at `tmp_path / "source"`."""
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TIMEOUT", (2, 2))
    (tmp_path / "source").symlink_to(release[0])
    with serving() as server:
        server.files = dict(release[1])
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def run(server: Server, root: Path, tmp_path: Path) -> Run:
    """A function that downloads categories (apple) from the server."""

    def run(*categories: str, release: str = "full", checksums: bool = True, **options: object) -> None:
        lists = write_lists(tmp_path, server, release)
        lists = lists if checksums else {"links": lists["links"]}
        options = {"connections": 2} | options
        download(root, read_release(release, categories or ["apple"], **lists), **options)

    return run
