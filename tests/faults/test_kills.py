"""A few kills of the first rules of a small run, with a fixed seed; `make campaign` does 50 of a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import Outcome, campaign, compare, content

SETTINGS = ("preset=smoke", "methods=[holodiffusion]")
TARGET = "results/warmup/hydrant-s0/model.safetensors"


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    outcome = campaign(tmp_path, kills=3, seed=1, seconds=200, target=TARGET, settings=SETTINGS)
    assert outcome.failures == [] and outcome.differences == []
    assert outcome.kills >= 1 and outcome.rounds >= 1 and outcome.compared > 10


def test_a_difference_is_found(tmp_path: Path) -> None:
    for name, byte in (("expected", b"a"), ("found", b"b")):
        (tmp_path / name / "runs").mkdir(parents=True)
        (tmp_path / name / "runs/model.safetensors").write_bytes(byte)
        (tmp_path / name / f"runs/{name}.png").write_bytes(b"")
    outcome = Outcome()
    compare(tmp_path / "expected", tmp_path / "found", outcome)
    assert outcome.differences == [
        "missing: runs/expected.png",
        "too much: runs/found.png",
        "differs: runs/model.safetensors",
    ]


def test_times_and_provenance_are_no_difference(tmp_path: Path) -> None:
    texts = ('{"value": 1, "seconds": 2, "provenance": {}}', '{"value": 1, "seconds": 3}', '{"value": 2}')
    values = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.json").write_text(text)
        values.append(content(tmp_path / f"{number}.json"))
    assert values[0] == values[1] != values[2]
