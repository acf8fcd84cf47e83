"""Pictures for the tests of scores."""

from __future__ import annotations

import numpy as np
import pytest

from tests.discs import FakeData, picture


@pytest.fixture
def data() -> FakeData:
    return FakeData()


@pytest.fixture
def pictures() -> np.ndarray:
    """Forty images (40,SIDE,SIDE,3) of twenty kinds, two frames each."""
    return np.stack([picture(kind, frame) for kind in range(20) for frame in range(2)])
