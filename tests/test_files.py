"""Files that are written in parts, or whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from holofusion.files import finished_parts


def test_parts_of_another_job_are_not_taken_over(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), finished_parts(tmp_path / "out", "a" * 64) as (partial, _):
        (partial / "old").touch()
        raise KeyboardInterrupt
    with finished_parts(tmp_path / "out", "b" * 64) as (partial, _):
        assert list(partial.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
