"""What a reader sees before scrolling: samples, one of them to turn, real images; and on a smoke run that it is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holofusion.report.page import run_report
from tests.report.browser import browse

SCRIPT = """<script>
setTimeout(() => {
  const of = node => { const r = node.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const all = name => [...document.querySelectorAll(name)].map(of);
  const seen = { width: innerWidth, height: innerHeight, samples: all(".band .samples img"), object: all(".band canvas"),
    photographs: all(".band .photographs img"), across: document.documentElement.scrollWidth, lede: all(".lede"),
    sheet: all("#samples"), scores: all("#scores") };
  parent.postMessage(JSON.stringify(seen), "*");
}, 3000);
</script>"""
# A window has a least size and a frame of its own; a frame on a page has the size that it is given.
FRAME = """<!DOCTYPE html><html><body><iframe src="seen.html" style="border: 0; width: {}px; height: {}px"></iframe><script>
addEventListener("message", event => {{
  const out = document.createElement("pre");
  out.id = "seen"; out.textContent = event.data;
  document.body.append(out);
}});
</script></body></html>"""


def shown(results: Path, resolved: Any, size: tuple[int, int]) -> dict[str, Any]:
    run_report(resolved, results, results / "report.html")
    (results / "seen.html").write_text((results / "report.html").read_text().replace("</body>", f"{SCRIPT}</body>"))
    (results / "frame.html").write_text(FRAME.format(*size))
    return browse(results / "frame.html", "1500,1200", results / "profile")[0]


def share(seen: dict[str, Any], box: list[float]) -> float:
    """The share of the first screen that a box takes."""
    left, top, right, bottom = box
    width = min(right, seen["width"]) - max(left, 0)
    return max(0.0, width) * max(0.0, min(bottom, seen["height"]) - max(top, 0)) / (seen["width"] * seen["height"])


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_samples_fill_the_first_screen(results: Path, resolved: Any, size: tuple[int, int]) -> None:
    seen = shown(results, resolved, size)
    assert (seen["width"], seen["height"]) == size
    assert seen["across"] <= seen["width"], "the page does not scroll sideways"
    (samples,) = seen["samples"]
    # four of them here, in one row; the first eight of a run in two
    assert share(seen, samples) > 0.08 and samples[3] < seen["height"]
    assert share(seen, seen["lede"][0]) > 0.02
    if seen["width"] > 640:
        assert share(seen, seen["object"][0]) > 0.05 and share(seen, seen["photographs"][0]) > 0.05
    assert samples[3] < seen["sheet"][0][1] < seen["scores"][0][1]  # pictures, rows from the same seeds, tables


def test_a_smoke_run_cannot_be_mistaken(results: Path, resolved: Any) -> None:
    run_report(resolved, results, results / "report.html")
    assert "Smoke run" not in (results / "report.html").read_text()
    smoke = replace(resolved, settings=resolved.settings.model_copy(update={"preset": "smoke"}))
    run_report(smoke, results, results / "report.html")
    text = (results / "report.html").read_text()
    assert "no picture here is a result" in text and 'class="lede"' not in text
    assert "<title>HoloFusion smoke run, not results" in text and text.index('class="warning"') < text.index("<h1>")
