"""The page as a whole: complete, self-contained, and honest about what is absent."""

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from holofusion.files import UserError
from holofusion.report.page import run_report


class Page(HTMLParser):
    """Collects what a browser would fetch or follow, and checks that tags close."""

    VOID = {"meta", "img", "source", "br", "link", "input", "hr"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str]] = []
        self.feed(text)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.addresses += [values[key] for key in ("src", "srcset", "href", "xlink:href", "data") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        self.images += [values] if tag == "img" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def make(results: Path, resolved: Any) -> str:
    run_report(resolved, results, results / "report.html")
    return (results / "report.html").read_text()


def test_page_holds_everything_and_fetches_nothing(results: Path, resolved: Any) -> None:
    text = make(results, resolved)
    page = Page(text)
    assert not page.open
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "@import" not in text and "url(http" not in text and "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= set(page.ids)
    assert len(page.images) == 3 and all(len(image["alt"]) > 20 for image in page.images)
    assert "data:image/webp" in text and page.tags.count("svg") == 3
    for words in ("HoloFusion", "HoloDiffusion*", "HoloDiffusion, no bootstrap", "Real images (floor)", "abc123"):
        assert words in text
    assert "12.0" in text and "8.0 to 22.0" in text  # HoloFusion's kernel distance and interval, times 1000
    assert "122.5 / 0.102; its cells average 104.9 / 0.091" in text
    assert "Not on this page" not in text


def test_files_beside_the_page(results: Path, resolved: Any) -> None:
    make(results, resolved)
    figures = {path.name for path in (results / "figures").iterdir()}
    assert {f"kernel_distance-teddybear-s0.{kind}" for kind in ("png", "svg")} <= figures
    assert {f"training-teddybear-s0.{kind}" for kind in ("png", "svg")} <= figures
    assert {"samples-teddybear-s0.png", "zoom-teddybear-s0.png", "turntable-teddybear-s0.webp"} <= figures
    with open(results / "tables" / "metrics.csv", newline="") as file:
        assert file.readline() == "method,category,seed,metric,value,low,high,n_real,n_generated\n"
        rows = list(csv.reader(file))
    assert rows[0] == ["holofusion", "teddybear", "0", "fd_efficientnet_lite2", "24.0", "", "", "90", "60"]
    assert rows[1] == ["holofusion", "teddybear", "0", "kd_efficientnet_lite2", "0.012", "0.008", "0.022", "90", "60"]
    assert [row[3] for row in rows[2:4]] == ["fd_efficientnet_lite2_held_out", "kd_efficientnet_lite2_held_out"]
    methods = [row[0] for row in rows[::4]]
    assert methods == ["holofusion", "holodiffusion_star", "holodiffusion", "holodiffusion_nobootstrap", "real_floor"]
    markdown = (results / "tables" / "metrics.md").read_text()
    assert "| HoloFusion | 12.0 [8.0, 22.0] | 24.0 | 17.0 [8.0, 22.0] | 34.0 | 60 |" in markdown


def test_same_results_same_figures(results: Path, resolved: Any) -> None:
    make(results, resolved)
    first = {path.name: path.read_bytes() for path in (results / "figures").iterdir()}
    make(results, resolved)
    assert first == {path.name: path.read_bytes() for path in (results / "figures").iterdir()}


def test_absent_pieces_are_named(results: Path, resolved: Any) -> None:
    shutil.rmtree(results / "views" / "holofusion-teddybear-s0")
    (results / "metrics" / "holodiffusion_star-teddybear-s0.json").unlink()
    listing = results / "views" / "holodiffusion-teddybear-s0" / "0" / "cameras.json"
    for path in (listing, listing.parent.parent / "1" / "cameras.json"):
        content = json.loads(path.read_text())
        for scene in content["scenes"]:
            scene["turntable"] = []
        path.write_text(json.dumps(content))
    text = make(results, resolved)
    assert "holofusion-teddybear-s0: no rendered views" in text and "Without samples: HoloFusion." in text
    assert "holodiffusion_star-teddybear-s0: not scored" in text and "not scored</span>" in text
    assert "holodiffusion-teddybear-s0: no turntable" in text


def test_page_of_an_empty_folder(results: Path, resolved: Any) -> None:
    for name in ("views", "metrics", "runs", "warmup", "benchmarks", "hypotheses"):
        shutil.rmtree(results / name)
    text = make(results, resolved)
    Page(text)
    for words in ("Nothing of teddybear has been scored yet", "No samples of teddybear", "No training logs"):
        assert words in text


def test_metrics_of_other_settings_are_refused(results: Path, resolved: Any) -> None:
    path = results / "metrics" / "holodiffusion-teddybear-s0.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "config_hash": "0" * 64}))
    with pytest.raises(UserError, match="holodiffusion-teddybear-s0.json: made with settings 0000"):
        make(results, resolved)
    assert not (results / "report.html").exists()


def test_metrics_without_settings_are_refused(results: Path, resolved: Any) -> None:
    (results / "config" / "evaluate" / "real_floor-teddybear.yaml").unlink()
    with pytest.raises(UserError, match="real_floor-teddybear.yaml"):
        make(results, resolved)


def test_an_unreadable_picture_is_named(results: Path, resolved: Any) -> None:
    (results / "views" / "holofusion-teddybear-s0" / "0" / "000000" / "view_000.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="view_000.png"):
        make(results, resolved)
