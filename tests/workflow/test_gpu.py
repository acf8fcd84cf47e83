"""The preset gpu, planned by Snakemake itself with the command that its file names for those without photographs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path


def test_the_command_of_its_file_plans_every_row_on_embedded_objects(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "params.yaml", tmp_path)
    for name in ("config", "workflow"):
        shutil.copytree(repository / name, tmp_path / name)
    (line,) = re.findall(r"^#   snakemake (.+)$", (repository / "config/gpu.yaml").read_text(), re.MULTILINE)
    planned = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", *shlex.split(line)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert planned.returncode == 0, planned.stderr
    counts = dict(re.findall(r"^step_(\w+) +(\d+)$", planned.stdout, re.MULTILINE))
    assert counts["dataset"] == "1" and "download" not in counts
    assert counts["evaluate"] == "9" and counts["train"] == "4"  # rows; trainings, two of them in closed form
