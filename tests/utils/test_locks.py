"""A lock has one owner: others wait, a dead owner is replaced, and one that was replaced is told so."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from holofusion.utils.files import UserError, write_json
from holofusion.utils.locks import finished_parts, owned

HOLD = (
    "import sys, time; from pathlib import Path; from holofusion.utils.locks import owned\n"
    "with owned(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
)


def hold_elsewhere(repository: Path, path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], cwd=repository, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def of_another_machine(path: Path, **changes: object) -> None:
    """Rewrite the lock as if its owner were out of sight."""
    write_json(path, json.loads(path.read_text()) | {"machine": "other", **changes})


def test_a_second_one_waits_for_the_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, order = tmp_path / "run/lock.json", []

    def second() -> None:
        with owned(path):
            order.append("second")

    with owned(path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"] and list(path.parent.iterdir()) == []
    assert "waiting for process" in capfd.readouterr().err


def test_a_killed_owner_is_replaced_at_once(
    repository: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lock.json"
    owner = hold_elsewhere(repository, path)
    owner.kill()
    owner.wait()
    began = time.monotonic()
    with owned(path):
        assert time.monotonic() - began < 5
    assert f"process {owner.pid} on" in (said := capfd.readouterr().err) and "is dead; taking over" in said


def test_an_owner_out_of_sight_is_replaced_when_it_falls_silent(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    owner = hold_elsewhere(repository, path)
    owner.kill()
    owner.wait()
    of_another_machine(path)
    began = time.monotonic()
    with owned(path, silence=2.0):
        assert time.monotonic() - began >= 2.0


def test_an_owner_out_of_sight_that_beats_is_waited_for(tmp_path: Path) -> None:
    path, taken = tmp_path / "lock.json", threading.Event()

    def second() -> None:
        with owned(path, silence=1.5):
            taken.set()

    with owned(path, beat=3600):
        of_another_machine(path)
        thread = threading.Thread(target=second)
        thread.start()
        for beat in range(1, 8):
            time.sleep(0.5)
            of_another_machine(path, beat=beat)
        assert not taken.is_set()
        assert taken.wait(10), "and replaced once it stops"
        thread.join()


def test_a_replaced_owner_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    with pytest.raises(UserError, match="another process has taken this over"), owned(path) as check:
        check()
        path.write_text(json.dumps(json.loads(path.read_text()) | {"token": "another"}))
        check()
    assert path.exists(), "the other one's lock is left alone"


def test_parts_of_another_job_are_not_taken_over(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), finished_parts(tmp_path / "out", "a" * 64) as (partial, _):
        (partial / "old").touch()
        raise KeyboardInterrupt
    with finished_parts(tmp_path / "out", "b" * 64) as (partial, _):
        assert list(partial.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
