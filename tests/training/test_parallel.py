"""Two processes train like one: the same losses, the same weights but for rounding, also across a stop in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.training.checkpoint import read_facts
from holofusion.training.parallel import run_in_processes, share_of
from holofusion.utils.files import UserError

STEPS = 50


@pytest.fixture(scope="module")
def warmup(repository: Path, prepared_smoke: Path, tmp_path_factory: pytest.TempPathFactory):
    """A function that starts the warm-up of smoke with two micro-batches a step, in so many processes."""
    project = tmp_path_factory.mktemp("parallel")
    (project / "config").mkdir()
    (project / "params.yaml").write_text((repository / "params.yaml").read_text())
    overlay = yaml.safe_load((repository / "config/smoke.yaml").read_text())
    overlay["warmup"] |= {"steps": STEPS, "checkpoint_every": 5, "batch": 2}
    overlay |= {"parallel": {"micro_batches": 2}}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    write_resolved(load_params(project / "params.yaml", "smoke"), project / "results")

    def start(out: Path, processes: int) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "holofusion",
            "warmup",
            "--config",
            project / "results/config/warmup/hydrant-s0.yaml",
            "--data",
            prepared_smoke,
            "--out",
            out,
            "--processes",
            str(processes),
            "--log",
            out / "log.txt",
        ]
        environment = os.environ | {"PYTHONPATH": str(repository)}
        return subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="module")
def alone(warmup, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training in one process."""
    return finished(warmup(out := tmp_path_factory.mktemp("alone"), 1), out)


def finished(process: subprocess.Popen[str], out: Path) -> Path:
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    assert not (out / "lock.json").exists()
    return out


def losses(folder: Path) -> np.ndarray:
    return np.array([json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()])


def assert_alike(one: Path, other: Path) -> None:
    assert len(losses(one)) == STEPS / 10
    np.testing.assert_allclose(losses(one), losses(other), atol=1e-4, rtol=0)
    weights = load_file(other / "model.safetensors")
    for name, value in load_file(one / "model.safetensors").items():
        np.testing.assert_allclose(value, weights[name], atol=1e-3, rtol=0, err_msg=name)


@pytest.mark.slow
def test_two_processes_train_like_one(warmup, alone: Path, tmp_path: Path) -> None:
    assert_alike(alone, finished(warmup(tmp_path, 2), tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [(1, 2), (2, 1)])
def test_stopped_in_one_number_of_processes_it_goes_on_in_another(
    warmup, alone: Path, tmp_path: Path, processes: tuple[int, int]
) -> None:
    process = warmup(tmp_path, processes[0])
    while read_facts(tmp_path / "state") is None:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=60)
    assert process.returncode != 0 and "asked to stop; state saved after step" in messages
    assert 0 < int(read_facts(tmp_path / "state")["step"]) < STEPS
    assert_alike(alone, finished(warmup(tmp_path, processes[1]), tmp_path))


def test_micro_batches_are_shared_out() -> None:
    assert [list(share_of(6, rank, 3)) for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(UserError, match=r"parallel\.micro_batches: 3 cannot be shared out among 2 processes"):
        share_of(3, 0, 2)


def test_several_nodes_are_those_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UserError, match="several nodes are those of a SLURM job"):
        run_in_processes(2, 2, 2)
    with pytest.raises(UserError, match="--processes 3: cannot be shared out among 2 nodes"):
        run_in_processes(3, 2, 6)
