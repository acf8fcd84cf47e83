"""Photographs that change after `prepare`: noticed by content, read only where size or time differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holofusion.pipeline.photographs import changed_photographs, stamp_of, write_stamps
from holofusion.utils.files import sha256_of


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A category of two pictures, and prepared data made from them."""
    (tmp_path / "mug").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "mug" / name).write_bytes(name.encode() * 9)
    write_stamps(tmp_path / "data", {f"mug/{name}": stamp_of(tmp_path / "mug" / name) for name in ("a.png", "b.png")})
    return tmp_path


def fault(root: Path) -> str | None:
    return changed_photographs(root / "data", [str(root / "mug")], sha256_of)


def test_unchanged_and_merely_touched_files_are_in_order(photographs: Path) -> None:
    assert fault(photographs) is None
    os.utime(photographs / "mug/a.png", (1, 1))
    assert fault(photographs) is None


def test_files_are_not_read_where_size_and_time_are_the_same(photographs: Path) -> None:
    def read(path: Path) -> str:
        raise AssertionError(path)

    assert changed_photographs(photographs / "data", [str(photographs / "mug")], read) is None


def test_content_that_changes_under_the_same_size_and_date_is_noticed(photographs: Path) -> None:
    path = photographs / "mug/b.png"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "1 of 2 files" in str(fault(photographs))


def test_other_content_and_missing_files_are_counted(photographs: Path) -> None:
    content = (photographs / "mug/b.png").read_bytes()
    (photographs / "mug/b.png").write_bytes(content[:-1] + b"!")
    os.utime(photographs / "mug/b.png", (1, 1))
    assert "1 of 2 files" in str(fault(photographs)) and "the first mug/b.png" in str(fault(photographs))
    (photographs / "mug/a.png").unlink()
    assert "2 of 2 files" in str(fault(photographs))


def test_photographs_that_are_elsewhere_now_say_nothing(photographs: Path) -> None:
    (photographs / "mug").rename(photographs / "moved")
    assert fault(photographs) is None
    assert changed_photographs(photographs / "data", ["dataset/mug"], sha256_of) is None
