"""The report: one HTML page that opens offline. All but the viewer works without scripts."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from holofusion.config.steps import ReportSettings
from holofusion.pipeline.job import Resolved
from holofusion.pipeline.registry import label_of
from holofusion.report import curves, tables
from holofusion.report.cards import write_cards
from holofusion.report.chapter import chapter_of
from holofusion.report.claim_lines import verdicts_of
from holofusion.report.collect import read_results
from holofusion.report.cost import step_seconds
from holofusion.report.paper import CATEGORIES, SOURCES, published_table
from holofusion.report.provenance import commits, machine, versions
from holofusion.report.settings_table import settings_table
from holofusion.report.viewer import TEMPLATES, pack, script
from holofusion.utils.files import read_json, replacing
from holofusion.utils.progress import duration, say

MEDIA = {".png": "image/png", ".webp": "image/webp"}
TEXTURES = 0.25  # most of the page's size inline that is textures of surfaces


def data_uri(path: Path) -> str:
    """The file's bytes as a `data:` address."""
    return f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def run_report(resolved: Resolved[ReportSettings], results: Path, out: Path) -> None:
    """Write tables/* and figures/* below `results`, and the page to `out`.

    Pictures are inside the page up to `report.inline_megabytes`, else they stay beside it in figures/. What is absent (a
    method without views, a turntable, a score) is named on the page. Raises UserError if a metrics file was made with
    other settings than those now in force, or a picture cannot be read.
    """
    settings, folder = resolved.settings, Path(results)
    gathered = read_results(folder, settings.methods, settings.categories, settings.seeds)
    verdicts = {category: verdicts_of(gathered, category, settings.seeds) for category in settings.categories}
    tables.write_tables(gathered, verdicts, settings.seeds, folder / "tables")
    write_cards(gathered, folder / "tables" / "cards")
    curves.write_curves(gathered.curves, folder / "tables" / "curves.csv")
    chapters = [
        chapter_of(gathered, verdicts[category], category, settings.seeds, settings.preset, settings.report)
        for category in settings.categories
    ]
    meshes = [mesh for chapter in chapters for mesh in chapter.meshes]
    seconds, changed = step_seconds(gathered), folder / "config" / "changed.json"
    content = {
        "settings": settings,
        "chapters": chapters,
        "missing": gathered.missing,
        "made": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        "machine": machine(),
        "devices": sorted({run.model["device"] for run in gathered.runs if run.model and run.model.get("device")}),
        "steps": seconds,
        "total": sum(value for _, value in seconds.values()),
        "networks": sorted({run.metrics["feature_network"] for run in gathered.runs if run.metrics}),
        "published": list(published_table().values()),
        "sources": SOURCES,
        "paper_categories": CATEGORIES,
        "changed": read_json(changed) if changed.is_file() else {},
        "options": settings_table(folder, gathered.runs),
        "versions": versions(gathered.runs),
        "commits": commits(gathered.runs),
        "meshes": Markup(pack(meshes, TEXTURES * settings.report.inline_megabytes * 2**20)) if meshes else None,
    }
    text = render(content, None)
    if len(text) > settings.report.inline_megabytes * 2**20:
        if meshes:
            with replacing(folder / "figures" / "meshes.js") as temporary:
                temporary.write_text(f"window.VIEWER_MESHES = {content['meshes']};\n")
        text = render(content, out.parent)
    with replacing(out) as temporary:
        temporary.write_text(text)
    say(f"{out}: {len(text) / 2**20:.1f} MiB, opens in any browser")


def render(content: dict[str, Any], beside: Path | None) -> str:
    """The page's text: pictures and surfaces inside it, or, with a folder `beside`, addressed from that folder."""
    environment = Environment(
        loader=PackageLoader("holofusion.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def source(path: Path) -> str:
        return data_uri(path) if beside is None else path.relative_to(beside).as_posix()

    environment.filters.update(
        duration=duration, label=label_of, safe_svg=Markup, source=source, spoken=spoken, tally=tally
    )
    styles = {name.replace(".", "_"): Markup((TEMPLATES / name).read_text()) for name in ("page.css", "viewer.css")}
    return environment.get_template("page.html.j2").render(
        **content, **styles, viewer_js=Markup(script()), inline=beside is None
    )


def spoken(items: list[str]) -> str:
    """A list as words: `a`, `a and b`, `a, b and c`."""
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def tally(verdicts: list[tuple]) -> dict[str, int]:
    """Number of claims by verdict, the commonest first."""
    return dict(Counter(verdict.verdict for verdict, _ in verdicts).most_common())
