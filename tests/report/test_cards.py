"""Model cards hold the scores of the files, and come with the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holofusion.report.cards import score_of
from holofusion.report.page import run_report

NAME = "holofusion-teddybear-s0"


def test_scores_are_written_as_the_tables_write_them(results: Path) -> None:
    entries = json.loads((results / f"metrics/{NAME}.json").read_text())["entries"]
    kernel = next(entry for entry in entries if entry["metric"].startswith("kd_") and entry["reference"] == "train")
    score = score_of(kernel)
    ends = ", ".join(f"{1000 * kernel[end]:.1f}".replace("-", "\u2212") for end in ("low", "high"))
    assert score.value == f"{1000 * kernel['value']:.1f} [{ends}]"
    assert score.title == f"Kernel distance × 1000 (`{kernel['metric']}`)"
    assert score.count == f"{kernel['n_generated']} images"


def test_the_report_writes_a_card_with_scores_for_every_training(results: Path, resolved: Any) -> None:
    run_report(resolved, results, results / "report.html")
    cards = {path.name for path in (results / "tables/cards").iterdir()}
    assert cards == {f"{NAME}.md", "holodiffusion_nobootstrap-teddybear-s0.md"}  # the other two rows share the first
    card = (results / f"tables/cards/{NAME}.md").read_text()
    assert f"# {NAME}\n" in card and "of 7 objects at 32 px" in card and "| Kernel distance × 1000 (`kd_" in card
