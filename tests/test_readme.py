"""README's tables hold the numbers of the files in docs/, and no others."""

import csv
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def reference(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", repository / "docs" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_readme_are_those_of_the_files(reference: ModuleType, repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert reference.filled(text) == text


def test_the_numbers_of_the_readme_are_those_of_the_file(repository: Path) -> None:
    with open(repository / "docs/mini-metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "kd_efficientnet_lite2"]
    expected = [[round(1000 * float(row[key])) for key in ("value", "low", "high")] for row in rows]
    shown = re.findall(
        r"^\| [^|]+ \| (-?\d+) \[(-?\d+), (-?\d+)\] \|", (repository / "README.md").read_text(), re.MULTILINE
    )
    assert [[int(value) for value in row] for row in shown] == expected
