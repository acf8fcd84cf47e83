"""What is done, running, waiting and failed, told from files, logs and a queue."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holofusion.pipeline import status as watch
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.pipeline.status import QueuedJob, Task, table, tasks_of
from holofusion.utils.files import UserError

RUN = "pigan-hydrant-s0"


@pytest.fixture
def results(project: Path, edit: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(watch, "queued", lambda: [])
    edit(project, methods=["pigan"], **{"sampling.shards": 2})
    write_resolved(load_params(project / "params.yaml"), project / "results")
    (project / "results/data/hydrant").mkdir(parents=True)
    return project / "results"


def log(results: Path, name: str, text: str, age: float = 0) -> None:
    path = results / "logs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age, time.time() - age))


def state(results: Path, step: str, name: str) -> tuple[str, str]:
    (task,) = (task for task in tasks_of(results) if (task.step, task.name) == (step, name))
    return task.state, task.note


def test_states_on_one_machine(results: Path) -> None:
    assert state(results, "prepare", "hydrant") == ("done", "")
    assert state(results, "train", RUN) == ("waiting", "")
    progress = "train 20/300  1.00/s  4m40s left\ntrain 120/300  1.23/s  2m26s left  loss 0.5\n"
    log(results, f"train/{RUN}.log", progress)
    (results / "runs" / RUN).mkdir(parents=True)
    (results / "runs" / RUN / "lock.json").write_text(json.dumps({"host": "here", "pid": 7}))
    assert state(results, "train", RUN) == ("running", "120 of 300, 2m26s left, here (process 7)")
    log(results, f"train/{RUN}.log", progress, age=1000)
    assert state(results, "train", RUN) == ("waiting", "stopped; 120 of 300, 2m26s left")
    log(results, f"train/{RUN}.log", progress + "error: runs/x: loss is not finite\n")
    assert state(results, "train", RUN)[0] == "failed" and "loss is not finite" in state(results, "train", RUN)[1]
    (results / "runs" / RUN / "model.safetensors").touch()
    assert state(results, "train", RUN) == ("done", "")


def test_shards_are_told_apart(results: Path) -> None:
    (results / f"samples/{RUN}/1").mkdir(parents=True)
    log(results, f"sample/{RUN}/0.log", "Traceback (most recent call last):\n  File ...\nValueError: no\n")
    assert state(results, "sample", f"{RUN}/1") == ("done", "")
    assert state(results, "sample", f"{RUN}/0")[0] == "failed"


def test_jobs_of_a_cluster(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [
        QueuedJob("12", "RUNNING", "n1", "rule_step_train_wildcards_pigan_hydrant_0"),
        QueuedJob("13", "PENDING", "", "rule_step_sample_wildcards_pigan_hydrant_0_1"),
        QueuedJob("14", "PENDING", "", "rule_step_reference_wildcards_real_floor_hydrant"),
    ]
    monkeypatch.setattr(watch, "queued", lambda: jobs)
    assert state(results, "train", RUN) == ("running", "n1 (job 12)")
    assert state(results, "sample", f"{RUN}/0") == ("waiting", "")
    assert state(results, "sample", f"{RUN}/1") == ("waiting", "job 13, pending")
    assert state(results, "reference", "real_floor-hydrant") == ("waiting", "job 14, pending")


def test_the_table_counts_and_names() -> None:
    text = table(
        [Task("train", "a", "done"), Task("train", "b", "failed", "error: x"), Task("train", "c", "running", "n1")]
    )
    assert "train              1        1                1".split() == text.splitlines()[1].split()
    assert "failed: train b  error: x" in text and "running: train c  n1" in text


def test_no_results(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results"):
        tasks_of(tmp_path)
