"""Jobs in several processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from holofusion.utils.side_by_side import side_by_side

JOBS = """
import os, time
from pathlib import Path

def note_and_sleep(file):
    Path(file + ".part").write_text(str(os.getpid()))
    Path(file + ".part").rename(file)
    time.sleep(300)
"""
PROGRAM = """
import sys
from jobs import note_and_sleep
from holofusion.utils.side_by_side import side_by_side
if __name__ == "__main__":
    list(side_by_side(note_and_sleep, [sys.argv[1] + "/a", sys.argv[1] + "/b", sys.argv[1] + "/c"], 2))
"""


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(side_by_side(math.factorial, range(6), 2)) == [1, 1, 2, 6, 24, 120]


def test_workers_end_with_a_killed_parent(tmp_path: Path, repository: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    (tmp_path / "jobs.py").write_text(JOBS)
    environment = os.environ | {"PYTHONPATH": str(repository)}
    parent = subprocess.Popen([sys.executable, program, tmp_path], env=environment)
    notes = [tmp_path / "a", tmp_path / "b"]
    deadline = time.monotonic() + 120
    while not all(note.exists() for note in notes) and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(note.read_text()) for note in notes]
    assert all(alive(worker) for worker in workers)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(worker) for worker in workers)
