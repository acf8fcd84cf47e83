"""The README's table holds the numbers of docs/mini-metrics.csv, and no others."""

import csv
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
METRICS = ("kd_efficientnet_lite2", "fd_efficientnet_lite2")


def test_the_numbers_of_the_readme_are_those_of_the_file():
    with open(REPOSITORY / "docs/mini-metrics.csv") as file:
        entries = list(csv.DictReader(file))
    kernel, frechet = ({row["method"]: row for row in entries if row["metric"] == metric} for metric in METRICS)
    expected = [
        [round(1000 * float(row[key])) for key in ("value", "low", "high")]
        + [round(float(frechet[method]["value"])), int(row["n_generated"])]
        for method, row in kernel.items()
    ]
    pattern = r"^\| [^|]+ \| (-?\d+) \[(-?\d+), (-?\d+)\] \| (\d+) \| (\d+) \|$"
    shown = re.findall(pattern, (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert sorted([int(value) for value in row] for row in shown) == sorted(expected)
