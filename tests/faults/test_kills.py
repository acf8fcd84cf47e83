"""A few kills of the first rules of a small run, with a fixed seed; `make campaign` does 50 of a whole one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.faults.kills import Outcome, campaign, compare, content, earlier, save

TARGET = "results/warmup/hydrant-s0/model.safetensors"


@pytest.mark.slow
@pytest.mark.timeout(1500)  # half a minute for each start of the workflow, where other work shares the machine
def test_three_kills_change_nothing(tmp_path: Path) -> None:
    outcome = campaign(tmp_path, kills=3, seed=1, seconds=600, target=TARGET, methods=("holodiffusion",))
    assert outcome.failures == [] and outcome.differences == []
    assert outcome.kills == 3 and outcome.rounds >= 1 and outcome.compared > 10


def test_a_difference_is_found(tmp_path: Path) -> None:
    for name, byte in (("expected", b"a"), ("found", b"b")):
        (tmp_path / name / "runs").mkdir(parents=True)
        (tmp_path / name / "runs/view.png").write_bytes(byte)
        (tmp_path / name / f"runs/{name}.png").write_bytes(b"")
    outcome = Outcome()
    compare(tmp_path / "expected", tmp_path / "found", outcome)
    assert outcome.differences == [
        "missing: runs/expected.png",
        "too much: runs/found.png",
        "differs: runs/view.png",
    ]


@pytest.mark.parametrize(
    ("name", "same", "other"),
    [
        ("a.json", [{"value": 1, "seconds": 2, "provenance": {}}, {"value": 1, "seconds": 3}], {"value": 2}),
        ("log.jsonl", [{"step": 1, "seconds": 2}, {"step": 1, "seconds": 3}], {"step": 2, "seconds": 2}),
        (
            "photographs.json",
            [{"files": {"a": [1, 5, "f"]}}, {"files": {"a": [1, 6, "f"]}}],
            {"files": {"a": [1, 5, "e"]}},
        ),
    ],
)
def test_times_are_no_difference(tmp_path: Path, name: str, same: list[dict], other: dict) -> None:
    values = []
    for number, value in enumerate([*same, other]):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_text(json.dumps(value))
        values.append(content(path))
    assert values[0] == values[1] != values[2]


def test_of_weights_every_number_counts_and_no_time(tmp_path: Path) -> None:
    values = []
    for number, (weight, seconds) in enumerate([(1.0, "2"), (1.0, "3"), (1.1, "2")]):
        path = tmp_path / f"{number}.safetensors"
        save_file({"w": torch.tensor([weight])}, path, {"step": "1", "seconds": seconds})
        values.append(content(path))
    assert values[0] == values[1] != values[2]


def test_an_unfinished_campaign_goes_on(tmp_path: Path) -> None:
    outcome = Outcome(kills=3, rules=2)
    outcome.hits.update(["train", "train", "sample"])
    save(tmp_path, outcome, 0.0)
    assert vars(earlier(tmp_path)) == vars(outcome)
