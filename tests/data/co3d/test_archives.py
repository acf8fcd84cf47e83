"""Unpacking: nothing outside of the category's folder, and all or nothing inside."""

from __future__ import annotations

import zipfile
from pathlib import Path
from threading import Event

import pytest

from holofusion.data.co3d import archives
from holofusion.data.co3d.archives import fault, unpack
from holofusion.data.co3d.http import DiskError
from holofusion.utils.files import UserError
from tests.data.co3d.release_server import link_member, zip_of


def archive_in(root: Path, members: dict) -> Path:
    path = root / "_download" / "apple_000.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(zip_of(members))
    return path


def test_members_of_the_category_are_unpacked(tmp_path: Path) -> None:
    members = {"apple/a/x.jpg": b"1", "apple/b.txt": b"2", "LICENSE": b"3", "pear/c.txt": b"4"}
    path = archive_in(tmp_path, members | {"category_to_subset_name_list.json": b"{}"})
    assert unpack(path, tmp_path, "apple", Event()) == (2, b"{}")
    assert (tmp_path / "apple/a/x.jpg").read_bytes() == b"1" and (tmp_path / "apple/b.txt").read_bytes() == b"2"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["_download", "apple"]
    assert [file.name for file in path.parent.iterdir()] == ["apple_000.zip"]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../evil.txt", "its path leaves the folder"),
        ("apple/../../evil.txt", "its path leaves the folder"),
        ("/tmp/evil.txt", "its path leaves the folder"),
        ("apple\\..\\evil.txt", "its path leaves the folder"),
        ("C:/evil.txt", "its path leaves the folder"),
        (link_member("apple/evil"), "it is a link"),
    ],
)
def test_unsafe_members_are_refused_and_named(tmp_path: Path, member: str | zipfile.ZipInfo, reason: str) -> None:
    name = member if isinstance(member, str) else member.filename
    root = tmp_path / "root"
    path = archive_in(root, {"apple/good.txt": b"1", member: b"/etc"})
    with pytest.raises(UserError) as error:
        unpack(path, root, "apple", Event())
    assert str(error.value) == f"{path}: refused, nothing was unpacked: member {name!r}: {reason}"
    assert not (root / "apple").exists() and [file.name for file in tmp_path.iterdir()] == ["root"]


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SMALL", 1000)
    path = archive_in(tmp_path, {"apple/zeros": bytes(1_000_000)})
    with pytest.raises(UserError, match="would grow to 1000000, over 20 times"):
        unpack(path, tmp_path, "apple", Event())
    assert not (tmp_path / "apple").exists()


def test_damage_is_found_before_anything_is_put_in_place(tmp_path: Path) -> None:
    path = archive_in(tmp_path, {"apple/a.txt": b"first", "apple/b.txt": b"second" * 50})
    content = bytearray(path.read_bytes())
    content[content.index(b"apple/b.txt") + len("apple/b.txt") + 2] ^= 255
    path.write_bytes(content)
    assert fault(path) is not None
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(path, tmp_path, "apple", Event())
    assert not (tmp_path / "apple").exists()


def test_an_archive_of_another_category(tmp_path: Path) -> None:
    path = archive_in(tmp_path, {"pear/a.txt": b"1", "apple": b"a file"})
    with pytest.raises(UserError, match="holds nothing of apple/"):
        unpack(path, tmp_path, "apple", Event())


def test_a_full_disk_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive_in(tmp_path, {"apple/a.txt": b"1", "apple/b.txt": b"2"})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.shutil, "copyfileobj", full)
    with pytest.raises(DiskError, match=r"No space left on device\); apple_000.zip is kept: make room"):
        unpack(path, tmp_path, "apple", Event())
    monkeypatch.undo()
    assert path.is_file() and not (tmp_path / "apple").exists()
    assert unpack(path, tmp_path, "apple", Event()) == (2, None)
