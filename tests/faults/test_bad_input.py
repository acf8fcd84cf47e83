"""Bad input of every kind, given to the command: each ends in lines that begin with `error: `, status 2, and nothing written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from holofusion.cli.main import main
from tests.faults.bad_input import Case, cases, make_world
from tests.faults.tally import examples, tried

CASES = list(cases())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world") / "sound")


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, hidden files too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The exit status, and the lines on standard error; of `data check`, whose product is a report, all lines."""
    monkeypatch.setattr(sys, "argv", ["holofusion", *command.split()])
    capsys.readouterr()
    try:
        main()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    captured = capsys.readouterr()
    return status, (captured.err + (captured.out if command.startswith("data check") else "")).splitlines()


def test_there_are_enough() -> None:
    assert len(CASES) >= 60 and len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_input_ends_in_one_line(
    case: Case,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "folder"

    @examples(2, 20)
    @given(value=case.values)
    def refuse(value: Any) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(world, folder)
        case.spoil(folder, value)
        before = files_of(folder)
        status, lines = run(case.command.format(folder=folder), monkeypatch, capsys)
        told = [line for line in lines if line.startswith("error: ") or case.command.startswith("data check")]
        assert status == 2 and told, lines
        assert not any("Traceback" in line for line in lines)
        assert files_of(folder) == before
        tried("bad input")

    refuse()
