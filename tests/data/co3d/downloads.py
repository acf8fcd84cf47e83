"""What tests of downloads share: the program in a process of its own, and what a whole download is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from holofusion.data.co3d.reader import read_category

SUBSETS = "category_to_subset_name_list.json"


Run = Callable[..., None]


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
