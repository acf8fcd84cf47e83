"""The paper preset, planned by Snakemake itself in a fresh folder: no data, no network, nothing made but settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import REAL_ROWS, ROWS, Source, coarse_of

Plan = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    """What a fresh clone holds of it: settings, presets and the workflow."""
    shutil.copy(repository / "params.yaml", tmp_path)
    for name in ("config", "workflow"):
        shutil.copytree(repository / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def plan(repository: Path, folder: Path) -> Plan:
    """A function that runs Snakemake's dry run of the paper preset there."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "CO3DV2_DATASET_ROOT"}
        command = [sys.executable, "-m", "snakemake", "-n", "--cores", "2", "--configfile=config/paper.yaml"]
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(repository)},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_the_whole_run_is_planned_without_data(plan: Plan, folder: Path) -> None:
    planned = plan("all")
    assert planned.returncode == 0, planned.stderr
    params = load_params(folder / "params.yaml", "paper")
    categories, shards = len(params.categories), params.sampling.shards
    rows = categories * len(params.methods)
    trainings = categories * len({ROWS[method].trained_by for method in params.methods})
    fused = {ROWS[m].trained_by for m in params.methods if ROWS[m].source == Source.HYPOTHESES}
    expected = {
        "step_download": categories,
        "step_prepare": categories,
        "step_warmup": categories,
        "step_train": trainings,
        "step_sample": rows * shards,
        "step_hypotheses": categories * len(fused) * shards,
        "step_render": rows * shards,
        "step_mesh": rows * shards,
        "step_evaluate": rows,
        "step_consistency": rows,
        "step_geometry": rows,
        "step_reference": categories * len(REAL_ROWS),
        "step_curve": categories * len({coarse_of(method) for method in params.methods}),
        "step_report": 1,
        "all": 1,
    }
    lines = planned.stdout.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    assert {rule: int(count) for rule, count in (line.split() for line in lines if line)} == expected
    assert (categories, len(params.methods), trainings) == (4, 10, 24)
    assert {path.name for path in folder.iterdir()} == {"params.yaml", "config", "workflow", "results", ".snakemake"}
    assert {path.name for path in (folder / "results").iterdir()} <= {"config", "preset.json", ".digests.json"}


def test_results_of_a_smaller_run_are_refused_and_kept(plan: Plan, folder: Path) -> None:
    (folder / "results/runs").mkdir(parents=True)
    stamp = folder / "results/preset.json"
    stamp.write_text('{"preset": "mini"}\n')
    refused = plan("all")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        "error: results/ holds a 'mini' run, not 'paper'; move it away, or pass RESULTS=other-folder "
        "(to snakemake: --config results=other-folder)"
    )
    assert "mini" in stamp.read_text() and not (folder / "results/config").exists()
    assert plan("data", "--config", "results=results-paper").returncode == 0
