"""The command: parts by name, one file, one table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import context
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.utils.files import read_json


@pytest.fixture
def results(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of smoke, of which there is only what the command looks at; and two parts that measure nothing."""
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), results)
    monkeypatch.setattr(context, "PARAMS", project / "params.yaml")
    parts = {
        "one": lambda given: {"loading_headroom": {"min": 0.1, "median": 0.2, "max": given.rounds}},
        "other": lambda given: {"growth": {"category": given.category}},
    }
    monkeypatch.setattr(command, "PARTS", parts)
    return results


@pytest.fixture
def trained(results: Path) -> Path:
    model = results / "runs" / "holofusion-hydrant-s0" / "model.safetensors"
    model.parent.mkdir(parents=True)
    model.touch()
    return results


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    return command.main()


def test_everything_is_written_and_printed(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    assert run(monkeypatch, "--results", trained, "--rounds", 3) == 0
    found = read_json(trained / "bench.json")
    assert list(found) == ["machine", "loading_headroom", "growth"]
    assert found["loading_headroom"]["max"] == 3
    assert found["growth"] == {"category": "hydrant"}
    assert found["machine"]["preset"] == "smoke"
    assert found["machine"]["threads"] == 1
    assert "MISSED" in capsys.readouterr().out


def test_single_parts_are_printed_and_written_only_where_asked(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "--results", trained, "--only", "other") == 0
    assert not (trained / "bench.json").exists()
    assert run(monkeypatch, "--results", trained, "--only", "other", "--out", tmp_path / "own.json") == 0
    assert list(read_json(tmp_path / "own.json")) == ["machine", "growth"]


def test_what_it_needs(results: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    needed = str(results / "runs/holofusion-hydrant-s0/model.safetensors")
    assert run(monkeypatch, "--results", results) == 2
    assert needed in capsys.readouterr().err
    assert run(monkeypatch, "--results", "elsewhere", "--preset", "smoke", "--needs") == 0
    assert capsys.readouterr().out.strip() == "elsewhere/runs/holofusion-hydrant-s0/model.safetensors"
