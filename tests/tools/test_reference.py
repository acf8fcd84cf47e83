"""The documents' tables hold the numbers of the files in docs/, and no others; estimates are of the preset as it is."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from PIL import Image

from holofusion.pipeline.steps import STEPS
from tools.pictures import FINE_SHEETS, SHEETS
from tools.reference import DOCS, PAGES, SHORT_ROWS, filled


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_files(page: str, repository: Path) -> None:
    text = (repository / page).read_text()
    assert filled(page, text) == text


@pytest.mark.parametrize("page", ("README.md", "docs/results.md"))
def test_kernel_distances_are_those_of_the_file(page: str, repository: Path) -> None:
    rows = []
    for name in ("mini", "earlier"):
        with open(repository / f"docs/{name}-metrics.csv") as file:
            rows += [row for row in csv.DictReader(file) if row["metric"] == "kd_efficientnet_lite2"]
    expected = [[round(1000 * float(row[key])) for key in ("value", "low", "high")] for row in rows]
    found = re.findall(r"^\| [^|]+ \| (-?\d+) \[(-?\d+), (-?\d+)\] \|", (repository / page).read_text(), re.MULTILINE)
    shown = [[int(value) for value in row] for row in found]
    assert (
        shown == expected
        if page != "README.md"
        else len(shown) == len(SHORT_ROWS) and all(row in expected for row in shown)
    )


@pytest.mark.parametrize(("name", "rows"), (SHEETS | FINE_SHEETS).items())
def test_pictures_are_cut_from_the_sheet_between_its_rows(name: str, rows: tuple[str | None, ...]) -> None:
    """Sheets have a white rim around every object, so a cut through one would leave colours at the edge."""
    overview = Image.open(DOCS / f"{name}.jpg").convert("L")
    height = overview.height / len(rows)
    for row in range(1, len(rows)):
        line = overview.crop((0, round(row * height) - 1, overview.width, round(row * height)))
        assert min(line.tobytes()) > 200


def test_estimates_are_of_the_units_and_amounts_of_the_paper_preset(repository: Path) -> None:
    """A changed preset has other amounts than the table, which then wants to be measured again."""
    from tools.paper_units import UNITS  # heavy

    table = (repository / "docs/paper-estimates.md").read_text().split("<!-- table -->")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("| ")]
    assert [[row[0], row[1], row[4]] for row in rows[1:]] == [
        [unit.rule, unit.what, f"{unit.times:,.0f}"] for unit in UNITS.values()
    ]
    assert {row[0] for row in rows[1:]} <= set(STEPS)
