"""The ladder on the page: table, plot and pictures of a made-up one, and nothing where there is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holofusion.evaluation.ladder import Ladder
from holofusion.report.collect import read_ladders
from holofusion.report.ladder import ladder_section, ladder_sheet
from holofusion.report.page import run_report
from holofusion.utils.files import UserError


def entry(metric: str, value: float) -> dict[str, Any]:
    ends = {"low": 0.9 * value, "high": 1.1 * value}
    return {"metric": metric, "reference": "train", "value": value, **ends, "units": 9, "replicates": None}


@pytest.fixture
def ladder(tmp_path: Path) -> Ladder:
    """Three rungs; pictures of two of them lie in tmp_path."""
    rungs = []
    for number, (name, chain, after, kernel) in enumerate(
        (
            ("photographs", "photographs", None, 0.003),
            ("grids", "reconstructions", "photographs", 0.040),
            ("generated", "samples", "grids", 0.160),
        )
    ):
        entries = [entry("kd_x", kernel), entry("precision", 0.8 - 0.3 * number), entry("sharpness", 0.5)]
        rung = {"name": name, "label": f"the {name}", "chain": chain, "after": after, "entries": entries, "psnr": None}
        if number:
            rung |= {"psnr": 30.26, "strip": f"{name}.png"}
            strip = np.full((8, (3 + number) * 8, 3), 60 * number, np.uint8)
            Image.fromarray(strip).save(tmp_path / f"{name}.png")
        rungs.append(rung)
    losses = [
        {"name": "grids", "after": "photographs", "value": 0.037, "low": 0.03, "high": 0.044},
        {"name": "generated", "after": "grids", "value": 0.12, "low": None, "high": None},
    ]
    denoisers = [{"name": name, "snr": [10.0, 0.1], "error": [0.1, e]} for name, e in (("linear", 0.5), ("U-Net", 0.4))]
    facts = {"run": "holofusion-teddybear-s0", "method": "holofusion", "category": "teddybear", "seed": 0}
    facts |= {"config_hash": "x", "feature_network": "x"}
    return facts | {"rungs": rungs, "losses": losses, "loses_most": "generated", "denoisers": denoisers}


def test_table_says_what_every_stage_costs(ladder: Ladder, tmp_path: Path) -> None:
    section = ladder_section(ladder, tmp_path)
    assert section.verdict == "Most is lost from “the grids” to “the generated”: 120.0."
    (scale, photographs), (_, grids), (_, samples) = section.lines
    assert scale.startswith("Photographs") and photographs[0].cost == ("", "") and photographs[0].psnr == ""
    assert grids[0].cost == ("37.0", "30.0 to 44.0") and grids[0].psnr == "30.3" and not grids[0].loses_most
    assert samples[0].cells[0] == ("160.0", "144.0 to 176.0") and samples[0].cells[1] == ("0.20", "0.18 to 0.22")
    assert samples[0].cells[2] == ("", "") and samples[0].loses_most  # coverage was not measured
    assert section.plot.png.is_file() and section.denoisers is not None
    assert (section.sheet.labels, section.sheet.columns) == (["the grids", "the generated"], 4)
    pixels = np.asarray(Image.open(section.sheet.path))
    assert (pixels[5, 5] == 60).all() and (pixels[-5, -5] == 120).all()


def test_missing_pictures_are_named(ladder: Ladder, tmp_path: Path) -> None:
    (tmp_path / "grids.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="grids.png: not a readable picture"):
        ladder_sheet(ladder, tmp_path, tmp_path / "sheet.png")
    for rung in ladder["rungs"]:
        rung.pop("strip", None)
    assert ladder_sheet(ladder, tmp_path, tmp_path / "sheet.png") is None


def test_the_page_shows_the_ladders_that_there_are(
    ladder: Ladder, results: Path, resolved: Any, tmp_path: Path
) -> None:
    for rung in ladder["rungs"]:
        if "strip" in rung:
            (tmp_path / rung["strip"]).rename(results / rung["strip"])
    (results / "metrics" / "ladder-holofusion-teddybear-s0.json").write_text(json.dumps(ladder))
    assert [found["run"] for found in read_ladders(results, "teddybear")] == ["holofusion-teddybear-s0"]
    assert read_ladders(results, "hydrant") == []
    run_report(resolved, results, results / "report.html")
    text = (results / "report.html").read_text()
    assert 'id="ladder"' in text and 'href="#ladder"' in text
    assert "Most is lost from" in text and "30.0 to 44.0" in text and "the generated" in text
