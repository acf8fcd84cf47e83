"""The cluster that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workflow.cluster import Cluster, Unavailable, install


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
