"""Project folders in which the workflow is planned or run, and what it says of its jobs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

Snakemake = Callable[..., subprocess.CompletedProcess[str]]
Edit = Callable[..., None]


def settings_in(repository: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(repository / "params.yaml", folder)
    shutil.copytree(repository / "config", folder / "config")
    return folder


def jobs(result: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Job counts by rule of a dry run, without the target `all`; empty when there is nothing to do."""
    assert result.returncode == 0, result.stderr
    if "Nothing to be done" in result.stdout + result.stderr:
        return {}
    lines = result.stdout.split("Job stats:")[1].split("total")[0].splitlines()
    counts = dict(line.split() for line in lines if line.strip() and not line.startswith(("job ", "---")))
    return {rule: int(count) for rule, count in counts.items() if rule != "all"}
