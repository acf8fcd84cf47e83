"""The SLURM profile, without a cluster: it plans every job from a fresh clone, and asks for what the steps need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

NETWORKS = {
    "step_warmup",
    "step_encode",
    "step_train",
    "step_sample",
    "step_hypotheses",
    "step_render",
    "step_mesh",
    "step_evaluate",
    "step_reference",
    "step_consistency",
    "step_geometry",
    "step_curve",
    "step_ladder",
}


@pytest.fixture(scope="module")
def clone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workflow, its settings and its profile, as in a fresh clone."""
    folder = tmp_path_factory.mktemp("profile") / "clone"
    for name in ("workflow", "config", "slurm"):
        shutil.copytree(repository / name, folder / name)
    shutil.copy(repository / "params.yaml", folder)
    return folder


@pytest.fixture(scope="module")
def bare(repository: Path, clone: Path) -> dict[str, str]:
    """An environment whose PATH has a shell and no SLURM."""
    commands = clone.parent / "bin"
    commands.mkdir()
    for name in ("bash", "sh", "which"):
        (commands / name).symlink_to(f"/usr/bin/{name}")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "CO3DV2"))}
    return kept | {"PATH": str(commands), "PYTHONPATH": str(repository)}


def snakemake(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_every_job_of_a_fresh_clone_is_planned_without_a_cluster(clone: Path, bare: dict[str, str]) -> None:
    result = snakemake(clone, bare, "--profile", "slurm", "-n", "all")
    assert result.returncode == 0, result.stderr
    asked = defaultdict(set)
    for rule, resources in re.findall(r"^rule (\w+):\n(?: .*\n)*? +resources: (.*)$", result.stdout, re.MULTILINE):
        asked[rule].add(tuple(re.findall(r"(slurm_partition|mem_mb|runtime|gpu)=(\w+)", resources)))
    assert all(len(kinds) == 1 for kinds in asked.values()), "an array of jobs asks once for all of them"
    kinds = {rule: dict(kinds.pop()) for rule, kinds in asked.items() if rule != "all"}
    for rule, kind in kinds.items():
        assert kind["slurm_partition"] == ("gpu" if rule in NETWORKS else "cpu"), rule
        assert kind.get("gpu") == ("1" if rule in NETWORKS else None), rule
        assert 2000 < int(kind["mem_mb"]) < 8000 and 60 <= int(kind["runtime"]) < 65
    assert kinds.keys() >= NETWORKS - {"step_encode", "step_ladder"}  # of rows over codes, which mini does not ask for


def test_the_profile_names_rules_that_there_are(clone: Path, bare: dict[str, str]) -> None:
    profile = yaml.safe_load((clone / "slurm/config.yaml").read_text())
    known = set(snakemake(clone, bare, "--list-rules").stdout.split())
    assert set(profile["set-resources"]) == NETWORKS <= known
    assert set(profile["slurm-array-jobs"].split(",")) <= known


def test_cores_need_not_be_named(clone: Path, bare: dict[str, str]) -> None:
    result = snakemake(clone, bare, "-n", "train")
    assert result.returncode == 0, result.stderr


def test_arrays_that_would_wait_for_ever_are_refused(clone: Path, bare: dict[str, str]) -> None:
    result = snakemake(clone, bare, "--profile", "slurm", "--jobs", "19", "all")
    assert result.returncode != 0
    params = yaml.safe_load((clone / "params.yaml").read_text())
    shards = len(params["methods"]) * params["sampling"]["shards"]  # of one category and seed
    assert f"error: --jobs 19: fewer than the {shards} shards that may be ready at once" in result.stderr
