"""Downloading a miniature release, once and again."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from holofusion.data.co3d.check import check_category
from holofusion.data.co3d.reader import read_category
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.utils.files import UserError
from tests.data.co3d.downloads import SUBSETS, Run, assert_whole, command_line
from tests.data.co3d.release_server import Server, write_lists


def test_whole_download_and_a_second_run(server: Server, root: Path, run: Run, tmp_path: Path, capsys) -> None:
    run("apple", "donut")
    assert_whole(root, tmp_path / "source", "apple", "donut")
    assert json.loads((root / SUBSETS).read_text()) == {"apple": ["fewview_dev"], "donut": ["fewview_dev"]}
    total = sum(len(content) for name, content in server.files.items() if name.endswith(".zip"))
    assert f"/{total / 1e6:.1f} MB" in capsys.readouterr().err
    assert check_category(root, "apple", "fewview_dev", True).problems == []
    server.requests.clear()
    run("apple", "donut")
    assert server.requests == []


def test_set_lists_of_other_categories_stay(server: Server, root: Path, run: Run) -> None:
    root.mkdir()
    (root / SUBSETS).write_text('{"pear": ["mine"], "apple": ["my_own"]}')
    run("apple")
    assert json.loads((root / SUBSETS).read_text()) == {"pear": ["mine"], "apple": ["my_own", "fewview_dev"]}


def test_step_of_the_workflow(server: Server, root: Path, tmp_path: Path, project: Path, edit) -> None:
    edit(project, "config/photos.yaml", **{"download": {"release": "full", "keep_archives": True}})
    write_resolved(load_params(project / "params.yaml", "photos"), project / "results")
    config, out = project / "results/config/download/apple.yaml", tmp_path / "out.json"
    lists = write_lists(tmp_path, server)
    listed = f"releases.LINKS, releases.CHECKSUMS = Path('{lists['links']}'), Path('{lists['checksums']}')"
    command = ("download", "--config", config, "--root", root, "--out", out)  # as the rule `step_download` calls it
    process = command_line(
        *command, before=f"from pathlib import Path; from holofusion.data.co3d import releases; {listed}"
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    noted = json.loads(out.read_text())
    assert noted.pop("provenance")["step"] == "download"
    assert noted == {"root": str(root), "release": "full", "category": "apple"}
    assert (root / "_download" / "apple_000.zip").is_file() and len(read_category(root, "apple").frames) == 4


def test_archives_can_be_kept(server: Server, root: Path, run: Run) -> None:
    run(keep=True)
    for name in ("apple_000.zip", "apple_001.zip"):
        assert (root / "_download" / name).read_bytes() == server.files[name]
    server.requests.clear()
    run(keep=True)
    assert server.requests == []


def test_two_downloads_into_one_folder_take_turns(server: Server, root: Path, run: Run, capsys) -> None:
    server.stalls["apple_001.zip"] = threading.Event()
    threads = [threading.Thread(target=run) for _ in range(2)]
    deadline, waiting = time.monotonic() + 20, ""
    threads[0].start()
    while not server.gets("apple_001.zip") and time.monotonic() < deadline:
        time.sleep(0.02)
    threads[1].start()  # only now: `run` writes the lists, which the first has to have read
    while "another download into this folder is at work" not in waiting and time.monotonic() < deadline:
        waiting += capsys.readouterr().err
        time.sleep(0.02)
    server.stalls.pop("apple_001.zip").set()
    for thread in threads:
        thread.join(20)
    assert "at work" in waiting and len(server.gets("apple_000.zip")) == 1
    assert "apple: complete, all 2 archives" in capsys.readouterr().err


def test_dry_run(server: Server, root: Path, run: Run, capsys) -> None:
    run(dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    megabytes = len(server.files["apple_000.zip"]) / 1e6
    assert lines[0] == f"apple_000.zip  {megabytes * 1000:.1f} kB  {server.url}/apple_000.zip"
    assert lines[2].startswith("2 archives, ") and len(lines) == 3
    assert server.gets() == [] and not root.exists()


def test_photographs_that_are_there_are_taken_as_they_are(server: Server, root: Path, run: Run, balls, capsys) -> None:
    balls.write(root, balls.three(views=5), "apple")
    run()
    assert server.requests == [] and "apple: is there, and not from here" in capsys.readouterr().err


def test_a_deleted_category_comes_again(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    run()
    (root / "apple").rename(tmp_path / "moved")
    run()
    assert_whole(root, tmp_path / "source", "apple")


def test_two_releases_are_not_mixed(server: Server, root: Path, run: Run) -> None:
    run()
    with pytest.raises(UserError, match="apple: holds the release 'full', not 'singlesequence'; name another folder"):
        run(release="singlesequence")
