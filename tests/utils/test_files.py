"""What a killed writer left is removed by the next one, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from holofusion.utils.files import discard_unfinished

KILLED = """
import os, sys
from holofusion.utils.files import replacing
writers = [replacing(path) for path in sys.argv[1:]]
for writer in writers:
    writer.__enter__().write_text("half")
os._exit(9)
"""


def test_only_what_was_left_is_removed(tmp_path: Path) -> None:
    files = [
        tmp_path / name for name in ("runs/a/model.safetensors", "runs/a/state/step", "runs/ab", "runs/a", "c.json")
    ]
    subprocess.run([sys.executable, "-c", KILLED, *map(str, files)], check=False)
    (tmp_path / "runs/a/.snakemake_timestamp").touch()
    (tmp_path / "runs/a/picture.png").touch()
    discard_unfinished(tmp_path / "runs/a")
    discard_unfinished(tmp_path / "b.json")
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert [name for name in names if "half" not in (tmp_path / name).read_text()] == [
        "runs/a/.snakemake_timestamp",
        "runs/a/picture.png",
    ]
    halves = [name for name in names if (tmp_path / name).read_text() == "half"]
    assert [name.rpartition("/")[2] for name in halves] == ["c.json", "ab"], "which others may be writing"
