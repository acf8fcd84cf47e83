"""Downloading a miniature release from a server that breaks, lies and vanishes."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holofusion.data.co3d import download as download_module
from holofusion.data.co3d import http as transfer
from holofusion.data.co3d.check import check_category
from holofusion.data.co3d.download import download
from holofusion.data.co3d.reader import read_category
from holofusion.data.co3d.releases import read_release
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.utils.files import UserError
from tests.data.co3d.release_server import Server, link_member, serving, write_lists, zip_of

SUBSETS = "category_to_subset_name_list.json"
Run = Callable[..., None]


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


def command_line(*arguments: object, before: str = "") -> subprocess.Popen[str]:
    """The program at work, in a process of its own that executes `before` first; what it says on stderr can be read."""
    code = f"{before}; from holofusion.cli.main import main; main()".removeprefix("; ")
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stderr=subprocess.PIPE,
        text=True,
        # behind `nohup` or `&` it would be started deaf to SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def assert_whole(root: Path, source: Path, *categories: str) -> None:
    """Every file of the release lies there, nothing else does, and nothing is left on its way."""
    for category in categories:
        expected = {path.relative_to(source): path.read_bytes() for path in (source / category).rglob("*.*")}
        found = {path.relative_to(root): path.read_bytes() for path in (root / category).rglob("*.*")}
        assert {path: found.get(path) for path in expected} == expected
        assert {path.name for path in set(found) - set(expected)} == {"pointcloud.ply"}
        assert len(read_category(root, category).frames) == 4
    left = {path.name for path in (root / "_download").iterdir()}
    assert left == {"lock", *(f"{category}.json" for category in categories)}


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


def test_server_dies_and_comes_back(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    server.breaks["apple_001.zip"] = 1
    run()
    assert_whole(root, tmp_path / "source", "apple")
    first, second = server.gets("apple_001.zip")
    begun = int(re.fullmatch(r"bytes=(\d+)-", second)[1])
    assert first is None and 0.4 * len(server.files["apple_001.zip"]) < begun


def test_server_without_ranges(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks["apple_000.zip"] = 2
    run()
    assert len(server.gets("apple_000.zip")) == 3, "what is sent anew replaces what was there"
    assert_whole(root, tmp_path / "source", "apple")


def test_a_server_that_stays_away(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    server.breaks["apple_000.zip"] = 99
    with pytest.raises(UserError) as error:
        run()
    assert len(str(error.value).splitlines()) == 1
    assert f"{server.url}/apple_000.zip: " in str(error.value) and "4 times in a row" in str(error.value)
    (problem, *_) = check_category(root, "apple", "fewview_dev", False).problems
    assert problem == "its download is not finished: apple_000.zip to come; run it again"
    kept = (root / "_download" / "apple_000.zip.part").stat().st_size
    assert kept > 0 and (root / "apple" / "part1").is_dir(), "the other archive is not held up"
    server.breaks.clear()
    server.requests.clear()
    run()
    assert server.gets() == [f"bytes={kept}-"]
    assert_whole(root, tmp_path / "source", "apple")


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    (root / "_download").mkdir(parents=True)
    (root / "_download" / "apple_000.zip.part").write_bytes(server.files["apple_000.zip"] + b"more")
    run()
    assert_whole(root, tmp_path / "source", "apple")


def test_passing_errors_are_tried_again(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    server.breaks["apple_000.zip"] = 1
    server.statuses["apple_000.zip"] = [503, 429]
    run()
    assert_whole(root, tmp_path / "source", "apple")


def test_a_passing_error_does_not_discard_what_arrived(server: Server, root: Path, run: Run) -> None:
    (root / "_download").mkdir(parents=True)
    (root / "_download" / "apple_000.zip.part").write_bytes(server.files["apple_000.zip"][:1000])
    server.statuses["apple_000.zip"] = [503]
    run()
    assert server.gets("apple_000.zip") == ["bytes=1000-", "bytes=1000-"]


def test_wrong_checksum(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    lists = write_lists(tmp_path, server)
    right = server.files["apple_001.zip"]
    server.files["apple_001.zip"] = right[:-5] + b"wrong"
    release = read_release("full", ["apple"], **lists)
    with pytest.raises(UserError) as error:
        download(root, release, 2)
    assert re.fullmatch(
        rf"{server.url}/apple_001.zip: SHA-256 is \w{{64}}, the list says \w{{64}}; downloaded twice, not used",
        str(error.value),
    )
    assert server.gets("apple_001.zip") == [None, None]
    assert not (root / "apple" / "part1").exists()
    assert not list((root / "_download").glob("apple_001*"))
    server.files["apple_001.zip"] = right
    download(root, release, 2)
    assert_whole(root, tmp_path / "source", "apple")


def test_without_checksums_damage_is_found_by_crc(server: Server, root: Path, run: Run, capsys) -> None:
    content = server.files["apple_001.zip"]
    server.files["apple_001.zip"] = content[:200_000] + b"damage" + content[200_006:]
    with pytest.raises(UserError, match="apple_001.zip: .* damaged .*downloaded twice, not used"):
        run(checksums=False)
    message = "apple_000.zip: no SHA-256 is listed; accepted by its size and the CRC of its members"
    assert capsys.readouterr().err.splitlines().count(message) == 1


@pytest.mark.parametrize("member", ["../evil.txt", link_member("apple/evil")])
def test_unsafe_archives(server: Server, root: Path, run: Run, member) -> None:
    server.files["apple_001.zip"] = zip_of({"apple/x": b"1", member: b"/etc"})
    with pytest.raises(UserError, match="apple_001.zip: refused, nothing was unpacked: member '[./a-z]*evil"):
        run()
    assert not list(root.parent.glob("evil*")) and not (root / "apple" / "x").exists()


def test_404_names_the_address_and_lets_others_through(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    lists = write_lists(tmp_path, server)
    del server.files["apple_000.zip"]
    with pytest.raises(UserError) as error:
        download(root, read_release("full", ["apple", "donut"], **lists), 2)
    expected = f"{server.url}/apple_000.zip: HTTP 404 Not Found; is the link list out of date?"
    assert str(error.value) == expected and (root / "donut" / "part0").is_dir()


def test_too_small_a_disk_is_said_before_anything_is_fetched(server: Server, root: Path, run: Run, monkeypatch) -> None:
    usage = namedtuple("usage", "free")(1_000_000)
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"root: 1.0 MB are free, 2 archives need \d.\d MB while they are unpacked"):
        run()
    assert server.gets() == []


def test_disk_full_on_the_way(server: Server, root: Path, run: Run, tmp_path: Path, monkeypatch) -> None:
    class Full:
        """A file that takes 150 kB."""

        def __init__(self, *arguments: object, **options: object) -> None:
            self.file = open(*arguments, **options)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, piece: bytes) -> int:
            room = 150_000 - self.file.tell()
            if not room:
                raise OSError(28, "No space left on device")
            return self.file.write(piece[:room])

    monkeypatch.setattr(transfer, "open", Full, raising=False)
    with pytest.raises(UserError) as error:
        run(connections=1)
    part = root / "_download" / "apple_000.zip.part"
    assert str(error.value) == (
        f"{part}: cannot be written (No space left on device); what has arrived is kept: make room, and run the same"
        " command again"
    )
    assert part.stat().st_size == 150_000
    monkeypatch.delattr(transfer, "open")
    server.requests.clear()
    run()
    assert "bytes=150000-" in server.gets("apple_000.zip")
    assert_whole(root, tmp_path / "source", "apple")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_and_run_again(server: Server, root: Path, run: Run, tmp_path: Path, number: int) -> None:
    lists = write_lists(tmp_path, server)
    server.stalls["apple_001.zip"] = threading.Event()
    given = ("--root", root, "--links", lists["links"], "--checksums", lists["checksums"])
    process = command_line("data", "download", "apple", *given)
    part, deadline = root / "_download" / "apple_001.zip.part", time.monotonic() + 60
    while not (part.exists() and part.stat().st_size and (root / "apple" / "part0").exists()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    server.stalls.pop("apple_001.zip").set()
    assert process.wait(30) != 0
    message = process.stderr.read()
    assert "Traceback" not in message
    if number == signal.SIGINT:
        assert "download: stopping; what has arrived is kept, the same command goes on from there" in message
    kept = part.stat().st_size
    server.requests.clear()
    run()
    assert server.gets() == [f"bytes={kept}-"]
    assert_whole(root, tmp_path / "source", "apple")


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


def test_killed_between_the_checksum_and_the_unpacking(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    (root / "_download" / "apple_000.zip.unpacking" / "apple").mkdir(parents=True)
    (root / "_download" / "apple_000.zip").write_bytes(server.files["apple_000.zip"])
    run()
    assert server.gets("apple_000.zip") == []
    assert_whole(root, tmp_path / "source", "apple")


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
