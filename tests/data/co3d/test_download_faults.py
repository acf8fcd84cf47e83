"""Downloads from a server that breaks and lies, onto a disk that is too small, by programs that are killed."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from holofusion.data.co3d import download as download_module
from holofusion.data.co3d import http as transfer
from holofusion.data.co3d.check import check_category
from holofusion.data.co3d.download import download
from holofusion.data.co3d.releases import read_release
from holofusion.utils.files import UserError
from tests.data.co3d.downloads import Run, assert_whole, command_line
from tests.data.co3d.release_server import Server, link_member, write_lists, zip_of


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


def test_killed_between_the_checksum_and_the_unpacking(server: Server, root: Path, run: Run, tmp_path: Path) -> None:
    (root / "_download" / "apple_000.zip.unpacking" / "apple").mkdir(parents=True)
    (root / "_download" / "apple_000.zip").write_bytes(server.files["apple_000.zip"])
    run()
    assert server.gets("apple_000.zip") == []
    assert_whole(root, tmp_path / "source", "apple")
