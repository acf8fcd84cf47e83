"""One training step of everything at the paper's sizes, on a CPU: the real command, one process each, 20 GB at most.

A step's gradients are summed over `parallel.micro_batches` such steps; here it is one. Images are the embedded ones.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from holofusion.data.preparation.prepare import prepare
from holofusion.data.synthetic.dataset import make_dataset
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import load_step, write_resolved

pytestmark = pytest.mark.slow
MOST_GB = 20
CATEGORY = "hydrant"
METHODS = ["holofusion", "holodiffusion_nobootstrap", "pigan", "eg3d", "get3d", "sds"]


@dataclass(frozen=True)
class Step:
    """What one step left: its folder, the losses of its log, and the most memory its process held, in 10^9 bytes."""

    out: Path
    losses: dict[str, float]
    peak_gb: float

    def check(self) -> None:
        assert all(math.isfinite(value) for value in self.losses.values())
        assert self.losses["loss"] > 0
        assert self.peak_gb < MOST_GB


@pytest.fixture(scope="module")
def results(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of the paper preset for one step of each training, and the prepared images of three objects."""
    project = tmp_path_factory.mktemp("paper") / "project"
    shutil.copytree(repository / "config", project / "config")
    shutil.copy(repository / "params.yaml", project)
    overlay = yaml.safe_load((project / "config/paper.yaml").read_text())
    overlay["dataset"] |= {"source": "synthetic", "root": None}
    overlay["evaluation"]["reference_frames"] = 4
    overlay |= {
        "categories": [CATEGORY],
        "download": {"release": None},
        "parallel": {"micro_batches": 1},
        "synthetic": {"objects": 3, "views": 5, "size": 256},
        "refinement": {"steps": 0},
    }
    for section in ("warmup", "training", "pigan", "eg3d", "get3d", "sds"):
        overlay[section]["steps"] = 1
    overlay["pigan"]["doublings"] = 0  # the one step is of the size that the training ends with
    (project / "config/paper.yaml").write_text(yaml.safe_dump(overlay))
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "paper"), results)
    step = load_step(results / f"config/dataset/{CATEGORY}.yaml")
    make_dataset(step.settings.synthetic, CATEGORY, 0, results / "dataset", 2)
    step = load_step(results / f"config/prepare/{CATEGORY}.yaml")
    prepare(step.settings, CATEGORY, 0, results / "dataset", results / f"data/{CATEGORY}", step.hash, 2)
    return results


@pytest.fixture(scope="module")
def train(repository: Path, results: Path) -> Callable[..., Step]:
    """A function that runs one training command in a process of its own."""

    def run(verb: str, run_name: str, *arguments: object) -> Step:
        out = results / verb / run_name
        command = [
            sys.executable,
            "-m",
            "holofusion",
            verb,
            "--config",
            results / f"config/{verb}/{run_name}.yaml",
            "--data",
            results / f"data/{CATEGORY}",
            "--out",
            out,
            "--threads",
            "2",
            "--device",
            "cpu",
            *arguments,
        ]
        log = results / f"{verb}-{run_name}.log"
        with log.open("w") as file:
            environment = os.environ | {"PYTHONPATH": str(repository)}
            process = subprocess.Popen(list(map(str, command)), env=environment, stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, log.read_text()
        (line,) = (out / "log.jsonl").read_text().splitlines()
        losses = {name: value for name, value in json.loads(line).items() if name not in ("step", "seconds")}
        return Step(out, losses, usage.ru_maxrss * 1024 / 1e9)

    return run


@pytest.fixture(scope="module")
def warmup(train: Callable[..., Step]) -> Step:
    return train("warmup", f"{CATEGORY}-s0")


def test_warmup(warmup: Step) -> None:
    warmup.check()


@pytest.mark.parametrize("method", METHODS)
def test_training(train: Callable[..., Step], warmup: Step, method: str) -> None:
    starts_from = ["--warmup", warmup.out] if method.startswith("holo") else []
    step = train("train", f"{method}-{CATEGORY}-s0", *starts_from)
    step.check()
    shutil.rmtree(step.out)  # gigabytes, which pytest would keep
