"""The page as a whole: complete, self-contained, and honest about what is absent."""

import csv
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holofusion.meshing.textured import TexturedMesh
from holofusion.report.page import run_report
from holofusion.utils.files import UserError


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
    assert "@import" not in text and "url(http" not in text and "fetch(" not in text and "XMLHttpRequest" not in text
    assert page.tags.count("script") == 2  # the surfaces and their viewer
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= set(page.ids)
    assert len(page.images) == 6 and all(len(image["alt"]) > 20 for image in page.images)
    assert "data:image/webp" in text and page.tags.count("svg") == 5 == text.count('class="plot')
    assert text.count('role="img" aria-label="') == 3
    for words in (
        "HoloFusion over features",
        "HoloDiffusion*",
        "HoloDiffusion, no bootstrap",
        "Real images (floor)",
        "abc123",
        "Copies of training objects",
        "donut",
        "Minimum matching distance",
        "No setting differs",
    ):
        assert words in text
    assert "12.0" in text and "5.3 to 18.7" in text  # HoloFusion's kernel distance and interval, times 1000
    assert "122.5 / 0.102; its cells average 104.9 / 0.091" in text
    assert "Not on this page" not in text


def test_files_beside_the_page(results: Path, resolved: Any) -> None:
    make(results, resolved)
    figures = {path.name for path in (results / "figures").iterdir()}
    assert {
        f"{name}-teddybear.{kind}" for name in ("kernel_distance", "consistency", "cost") for kind in ("png", "svg")
    } <= figures
    assert {f"training-teddybear-s0.{kind}" for kind in ("png", "svg")} <= figures
    assert {"samples-teddybear-s0.png", "zoom-teddybear-s0.png", "turntable-teddybear-s0.webp"} <= figures
    with open(results / "tables" / "metrics.csv", newline="") as file:
        assert file.readline() == "method,category,seed,metric,value,low,high,n_real,n_generated\n"
        rows = list(csv.reader(file))
    assert rows[0] == ["holofusion", "teddybear", "0", "fd_efficientnet_lite2", "24.0", "22.8", "25.2", "90", "60"]
    assert rows[1] == ["holofusion", "teddybear", "0", "kd_efficientnet_lite2", "0.012", "0.008", "0.022", "90", "60"]
    assert [row[3] for row in rows[2:4]] == ["fd_efficientnet_lite2_held_out", "kd_efficientnet_lite2_held_out"]
    methods = list(dict.fromkeys(row[0] for row in rows))
    assert methods[:4] == ["holofusion", "holodiffusion_star", "holodiffusion", "holodiffusion_nobootstrap"]
    assert methods[4:] == ["real_floor", "real_blurred", "real_other", "real_copy"]
    markdown = (results / "tables" / "metrics.md").read_text()
    assert "## Distance to real images: teddybear, seed 0" in markdown
    assert re.search(r"\| HoloDiffusion\\\* \| 10\.0 \[[\d., ]+\] \| 20\.0 \[", markdown)
    latex = (results / "tables" / "metrics.tex").read_text()
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 5
    assert r"HoloDiffusion\textsuperscript{*} & \textbf{10.0} {\scriptsize [" in latex and "%" not in latex.replace(
        r"\%", ""
    )
    means = json.loads((results / "tables" / "metrics.json").read_text())
    assert means["teddybear"]["holofusion"]["kd_efficientnet_lite2"] == 0.012
    with open(results / "tables" / "claims.csv", newline="") as file:
        claims = {row["claim"]: row["verdict"] for row in csv.DictReader(file)}
    assert (claims["bootstrap"], claims["sds_worse"]) == ("holds", "not tested")


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
    assert "holofusion-teddybear-s0: no rendered views" in text and "Without samples: HoloFusion over features." in text
    assert "holodiffusion_star-teddybear-s0: not scored" in text and 'class="absent">–</span>' in text
    assert "holodiffusion-teddybear-s0: no turntable" in text


def test_page_of_an_empty_folder(results: Path, resolved: Any) -> None:
    for name in ("views", "metrics", "runs", "warmup", "benchmarks", "hypotheses", "meshes", "data"):
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
    (results / "config" / "reference" / "real_floor-teddybear.yaml").unlink()
    with pytest.raises(UserError, match="real_floor-teddybear.yaml"):
        make(results, resolved)


def test_an_unreadable_picture_is_named(results: Path, resolved: Any) -> None:
    (results / "views" / "holofusion-teddybear-s0" / "0" / "000000" / "view_000.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="view_000.png"):
        make(results, resolved)


def test_large_media_stand_beside_the_page(results: Path, resolved: Any) -> None:
    small = resolved.settings.report.model_copy(update={"inline_megabytes": 0.1})
    resolved = replace(resolved, settings=resolved.settings.model_copy(update={"report": small}))
    text = make(results, resolved)
    page = Page(text)
    beside = [address for address in page.addresses if not address.startswith("#")]
    assert len(beside) == 9 and all((results / address).is_file() for address in beside)
    assert "figures/meshes.js" in beside and "data:image" not in text
    assert (
        (results / "figures" / "meshes.js")
        .read_text()
        .startswith('window.VIEWER_MESHES = [{"label": "HoloFusion over features"')
    )


def test_surfaces_are_shown_with_their_textures(results: Path, resolved: Any) -> None:
    folder = results / "meshes" / "holofusion-teddybear-s0" / "0"
    corners, faces = np.eye(3, dtype=np.float32), np.arange(3)[None]
    TexturedMesh(corners, faces, np.eye(3)[:, :2], faces, np.zeros((8, 8, 3), np.uint8)).export(folder / "000000.glb")
    text = make(results, resolved)
    (data,) = re.findall(r'id="viewer-meshes">(.*?)</script>', text, re.DOTALL)
    shown = {(entry["faces"], "texture" in entry) for entry in json.loads(data)}
    assert shown == {(1, True), (12, False)}  # where there is a .ply alone, that


def test_a_name_of_a_sample_is_text(results: Path, resolved: Any) -> None:
    name = "0/<script>alert(1)</script>.png"
    path = results / "metrics" / "holofusion-teddybear-s0.json"
    content = json.loads(path.read_text())
    folder = results / "views" / "holofusion-teddybear-s0"
    (folder / name).parent.mkdir(parents=True)
    shutil.copy(folder / "0" / "000000" / "view_000.png", folder / name)
    content["nearest"][0]["picture"] = name
    path.write_text(json.dumps(content))
    text = make(results, resolved)
    assert "0/&lt;script&gt;alert(1)&lt;/script&gt;.png" in text and "<script>alert" not in text


def test_what_differs_from_the_settings_file_is_named(results: Path, resolved: Any) -> None:
    (results / "config" / "changed.json").write_text('{"sampling.scenes": {"default": 16, "value": 4}}')
    text = make(results, resolved)
    assert "What differs from params.yaml" in text and "sampling.scenes</th>" in text
