"""A small prepared category for the tests of steps that score."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.discs import FakeData


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> FakeData:
    """What the steps that score read in the place of prepared data."""
    fake = FakeData()
    for module in ("evaluation.score", "steps.reference"):
        monkeypatch.setattr(f"holofusion.{module}.PreparedCategory", SimpleNamespace(load=lambda folder: fake))
    return fake
