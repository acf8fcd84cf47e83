"""Killed, or asked to stop, at a random moment and started again, training ends with the very same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load, load_file

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.training.checkpoint import read_facts

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 40


def start(*arguments: object, **options) -> subprocess.Popen:
    command = [
        sys.executable,
        "-c",
        "from holofusion.cli.main import main; main()",
        *map(str, arguments),
        "--threads",
        "1",
    ]
    return subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, text=True, stderr=subprocess.PIPE, **options
    )


def run(*arguments: object) -> str:
    process = start(*arguments)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 0, messages
    return messages


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Smoke-sized data and settings, with enough steps to be killed in between."""
    project = tmp_path_factory.mktemp("resume")
    (project / "config").mkdir()
    (project / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    overlay = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text())
    for section in ("warmup", "training"):
        overlay[section] |= {"steps": STEPS, "checkpoint_every": 3}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), results)
    run("dataset", "--config", results / "config/dataset/hydrant.yaml", "--out", results / "dataset")
    run(
        "prepare",
        "--config",
        results / "config/prepare/hydrant.yaml",
        "--dataset",
        results / "dataset",
        "--out",
        results / "data/hydrant",
    )
    return results


def end_once_under_way(number: int, state: Path, *arguments: object) -> int:
    """Start a step, send it a signal at a random moment after its first saved state; return the step of the state it left."""
    process = start(*arguments)
    while read_facts(state) is None:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    time.sleep(random.random() * 0.3)
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    expected = -number if number == signal.SIGKILL else 128 + number
    assert process.returncode == expected, f"did it end before the signal? {messages}"
    assert number == signal.SIGKILL or "asked to stop; state saved after step" in messages
    return int(read_facts(state)["step"])


@pytest.mark.parametrize(
    ("step", "number"), [("warmup", signal.SIGKILL), ("train", signal.SIGKILL), ("train", signal.SIGTERM)]
)
def test_ended_and_rerun_gives_the_same_bytes(results, step, number):
    name = {"warmup": "hydrant-s0", "train": "holofusion-hydrant-s0"}[step]
    common = [step, "--config", results / f"config/{step}/{name}.yaml", "--data", results / "data/hydrant"]
    if step == "train":
        common += ["--warmup", results / "whole-warmup"]
    whole, killed = results / f"whole-{step}", results / f"ended-{step}-{number}"
    run(*common, "--out", whole)
    left = end_once_under_way(number, killed / "state", *common, "--out", killed)
    assert 0 < left < STEPS
    assert not (killed / "model.safetensors").exists()
    if number == signal.SIGTERM:
        assert not (killed / "lock.json").exists()
    assert "going on from step" in run(*common, "--out", killed)
    assert (whole / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()
    if step == "train":
        kept = [[path.name, path.read_bytes()] for path in sorted((killed / "snapshots").iterdir())]
        assert [name for name, _ in kept] == [f"{number:08d}.safetensors" for number in (0, 4, 10, 20, 30)]
        for name, content in kept:
            assert load(content).keys() == load_file(whole / "snapshots" / name).keys()
            for key, value in load_file(whole / "snapshots" / name).items():
                assert torch.equal(load(content)[key], value)
    steps = [json.loads(line)["step"] for line in (killed / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == STEPS
    facts = read_facts(killed / "state")
    assert facts["step"] == facts["steps"] == str(STEPS)


def test_unfinished_state_of_other_inputs_is_refused(results):
    config = results / "config/warmup/hydrant-s0.yaml"
    common = ["warmup", "--config", config, "--data", results / "data/hydrant", "--out", results / "other"]
    end_once_under_way(signal.SIGKILL, results / "other/state", *common)
    before = read_facts(results / "other/state")
    changed = json.loads((results / "data/hydrant/split.json").read_text())
    changed["train"].reverse()
    (results / "data/hydrant/split.json").write_text(json.dumps(changed))
    process = start(*common)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 2
    assert messages.strip().splitlines()[-1].startswith("error: ") and "delete this folder" in messages
    assert read_facts(results / "other/state") == before
    assert not (results / "other/model.safetensors").exists()
