"""The published table, read from `paper.csv`; its means are recomputed from its cells, never copied."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CATEGORIES = ("apple", "hydrant", "teddybear", "donut")
SOURCES = {
    "holofusion": "Karnewar, Mitra, Vedaldi, Novotny: HoloFusion, ICCV 2023",
    "holodiffusion": "Karnewar, Vedaldi, Novotny, Mitra: HoloDiffusion, CVPR 2023",
}


@dataclass(frozen=True)
class Published:
    """One row: FID and KID per category, the authors' consistency mark (yes, no, or empty), and the printed mean."""

    method: str
    source: str
    consistent: str
    fid: dict[str, float]
    kid: dict[str, float]
    printed: tuple[float, float]

    @property
    def mean(self) -> tuple[float, float]:
        """Mean FID and KID over the four categories, from the cells."""
        return sum(self.fid.values()) / len(self.fid), sum(self.kid.values()) / len(self.kid)

    @property
    def misprinted(self) -> bool:
        """Whether the printed mean differs from the mean of the cells by more than rounding."""
        return abs(self.mean[0] - self.printed[0]) > 0.1 or abs(self.mean[1] - self.printed[1]) > 0.002


@cache
def published_table() -> dict[str, Published]:
    """The published rows by method name, in the order of the file."""
    text = (Path(__file__).parent / "paper.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        row["method"]: Published(
            method=row["method"],
            source=row["source"],
            consistent=row["consistent"],
            fid={category: float(row[f"{category}_fid"]) for category in CATEGORIES},
            kid={category: float(row[f"{category}_kid"]) for category in CATEGORIES},
            printed=(float(row["printed_fid"]), float(row["printed_kid"])),
        )
        for row in rows
    }
