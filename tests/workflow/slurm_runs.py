"""A project folder in which Snakemake is at work on the cluster, as seen by tests that watch and disturb it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import psutil
import yaml

from tests.workflow.cluster import Cluster

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "workflow" / "Snakefile")]
TRAINING = "results/runs/sds-hydrant-s0"
STATUS_CHECKS = 5  # seconds before the first one


def project_in(folder: Path) -> Path:
    """A project folder with settings."""
    folder.mkdir()
    shutil.copy(REPOSITORY / "params.yaml", folder)
    shutil.copytree(REPOSITORY / "config", folder / "config")
    return folder


def write_profile(folder: Path, **training: object) -> None:
    """Write the profile, edited as a site would, into a project folder; `training`: resources of trainings."""
    profile = yaml.safe_load((REPOSITORY / "slurm" / "config.yaml").read_text())
    profile["slurm-init-seconds-before-status-checks"] = STATUS_CHECKS
    profile["set-resources"]["step_train"] |= training
    (folder / "slurm").mkdir()
    (folder / "slurm" / "config.yaml").write_text(yaml.safe_dump(profile))


class Run:
    """Snakemake in a project folder; `program`: a folder of `standin.py`, whose program the rules call."""

    def __init__(self, cluster: Cluster, folder: Path, program: Path, edit: Callable[..., None]) -> None:
        self.cluster, self.folder, self.edit = cluster, folder, edit
        self.environment = {key: value for key, value in cluster.environment.items() if key != "CO3DV2_DATASET_ROOT"}
        self.environment |= {"PYTHONPATH": f"{program}:{REPOSITORY}"}
        self.process: subprocess.Popen | None = None

    def start(self, *arguments: str) -> None:
        """Start `snakemake --profile slurm`; its output goes to snakemake.log."""
        with (self.folder / "snakemake.log").open("a") as log:
            self.process = subprocess.Popen(
                [*SNAKEMAKE, "--profile", "slurm", *arguments, "--config", "preset=smoke"],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def finish(self, seconds: float = 900) -> None:
        """Wait for Snakemake to succeed."""
        assert self.process.wait(seconds) == 0, self.said()

    def said(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    def messages(self) -> str:
        """What Snakemake itself noted, in its own log files."""
        return "".join(path.read_text() for path in (self.folder / ".snakemake/log").glob("*.log"))

    def until(self, ready: Callable[[], object], seconds: float = 300) -> None:
        """Wait until `ready()` holds."""
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end and self.process.poll() is None, self.said()
            time.sleep(0.1)

    def steps(self) -> list[dict]:
        """Every training step taken so far, in order: its process, job and GPU."""
        path = self.folder / "steps.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def turns(self) -> list[tuple[str, int]]:
        """(job, number of steps) of each stretch of steps by one process, in order."""
        stretches = [list(steps) for _, steps in groupby(self.steps(), key=lambda step: step["pid"])]
        return [(steps[0]["job"], len(steps)) for steps in stretches]

    def until_training(self, steps: int = 8) -> tuple[str, psutil.Process]:
        """Wait until so many steps are taken; return the number of the job that trains, and its process."""
        self.until(lambda: len(self.steps()) >= steps)
        last = self.steps()[-1]
        return last["job"], psutil.Process(last["pid"])

    def shown(self, job: str, key: str) -> str:
        """What SLURM says of a job under a key of `scontrol show job`."""
        return self.cluster.command("scontrol", "--oneliner", "show", "job", job).split(f" {key}=")[1].split()[0]

    def waits_for_lock(self) -> bool:
        """Whether a training says that it waits for another one."""
        log = self.folder / "results/logs/train/sds-hydrant-s0.log"
        return log.exists() and "waiting for" in log.read_text()

    def kill_node(self, node: str) -> None:
        """End what this folder's jobs run on a node, as if its power had failed."""
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()) == self.folder and process.environ().get("SLURMD_NODENAME") == node:
                    process.kill()
            except psutil.Error:
                continue
