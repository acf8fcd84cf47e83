"""The cluster that the tests of this folder share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.cluster import Cluster, Unavailable, install
from tests.workflow.plans import Snakemake
from tests.workflow.standin import shell_stand_in


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running SLURM cluster; skips the test where there can be none."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        install()
        cluster.start()
        yield cluster
    except Unavailable as error:
        pytest.skip(f"no SLURM cluster: {error}")
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def snakemake(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Snakemake:
    """A function that runs Snakemake in a folder, with tests/workflow/stub.sh in place of the program."""
    programs = shell_stand_in(
        tmp_path_factory.mktemp("stand_in"), f'exec bash "{Path(__file__).parent / "stub.sh"}" "$@"'
    )

    def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(repository / "workflow" / "Snakefile")]
        environment = {key: value for key, value in os.environ.items() if key != "CO3DV2_DATASET_ROOT"}
        environment |= {"PYTHONPATH": f"{programs}:{repository}", **variables}
        return subprocess.run(
            [*command, "--cores", "2", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
