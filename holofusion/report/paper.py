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
    label: str
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
            label=row["label"],
            source=row["source"],
            consistent=row["consistent"],
            fid={category: float(row[f"{category}_fid"]) for category in CATEGORIES},
            kid={category: float(row[f"{category}_kid"]) for category in CATEGORIES},
            printed=(float(row["printed_fid"]), float(row["printed_kid"])),
        )
        for row in rows
    }


def label_of(method: str) -> str:
    """The method's name as readers know it; the plain name where the paper has none."""
    own = {
        "sds": "Score distillation",
        "external": "External pictures",
        "real_floor": "Real images (floor)",
        "real_blurred": "Real images, blurred",
        "real_other": "Real images, other category",
        "real_copy": "Copies of training objects",
    }
    rows = published_table()
    return rows[method].label if method in rows else own.get(method, method)
