"""README's tables hold the numbers of the files in docs/, and no others; estimates are of the preset as it is."""

import csv
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def reference(repository: Path) -> ModuleType:
    return script(repository, "reference")


def script(repository: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, repository / "tools" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
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


def test_estimates_are_of_the_units_and_amounts_of_the_paper_preset(repository: Path) -> None:
    """A changed preset has other amounts than the table, which then wants to be measured again."""
    units = script(repository, "paper_units").UNITS.values()
    table = (repository / "docs/paper-estimates.md").read_text().split("<!-- table -->")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("| ")]
    assert [[row[0], row[1], row[4]] for row in rows[1:]] == [
        [unit.rule, unit.what, f"{unit.times:,.0f}"] for unit in units
    ]
    rules = "".join(path.read_text() for path in (repository / "workflow/rules").glob("*.smk"))
    assert all(f"rule {row[0]}:" in rules for row in rows[1:])
