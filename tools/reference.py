"""Take a finished run of `make report` over as a reference result of the repository: make reference.

    python -m tools.reference RESULTS

RESULTS is a run of `mini` or `seeds`. Copies its tables to docs/; from a run of `mini` also small pictures, and bench.json
if there is one. Draws docs/pipeline.svg. Then rewrites the tables of README.md and docs/*.md from the copies: they stand
between the marks `<!-- NAME -->` and `<!-- end -->`. A test compares the documents with the copies.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from benchmarks.table import TARGETS
from holofusion.pipeline.registry import label_of
from holofusion.utils.files import read_json
from tools.diagram import write_diagram

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
Column = tuple[str, str, float, int, bool]  # title, metric, factor, digits; with its interval, or alone
COLUMNS: tuple[Column, ...] = (
    ("kernel distance × 1000", "kd_efficientnet_lite2", 1000, 0, True),
    ("Fréchet distance", "fd_efficientnet_lite2", 1, 0, False),
    ("coverage", "coverage", 1, 2, False),
    ("view consistency, dB", "consistency_psnr", 1, 1, True),
    ("shape: matching distance × 1000", "chamfer_mmd", 1000, 0, False),
    ("floaters", "floaters", 1, 3, False),
    ("images", "n_generated", 1, 0, False),
)
SHORT: tuple[Column, ...] = (
    ("kernel distance × 1000 (low is good)", "kd_efficientnet_lite2", 1000, 0, True),
    ("view consistency, dB (high)", "consistency_psnr", 1, 1, True),
    ("distance to true shapes × 1000 (low)", "chamfer_mmd", 1000, 0, False),
)
SHORT_ROWS = ("holofusion", "holodiffusion_star", "holodiffusion", "pigan", "get3d", "real_floor")
OVERVIEW_ROWS = ("holofusion", "holodiffusion", "pigan", None)  # None: the training images, last on the sheet


def text(value: str, factor: float, digits: int) -> str:
    return f"{float(value) * factor:.{digits}f}" if value else "–"


def read_metrics(docs: Path) -> list[dict[str, str]]:
    with open(docs / "mini-metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]], methods: Iterable[str], columns: tuple[Column, ...]) -> str:
    by_key = {(row["method"], row["metric"]): row for row in rows}
    lines = ["| row | " + " | ".join(column[0] for column in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for method in methods:
        cells = []
        for _, metric, factor, digits, interval in columns:
            name = "kd_efficientnet_lite2" if metric == "n_generated" else metric
            row = by_key.get((method, name))
            value = row["n_generated" if metric == "n_generated" else "value"] if row else ""
            cell = text(value, factor, digits)
            if interval and row and row["low"]:
                cell += f" [{text(row['low'], factor, digits)}, {text(row['high'], factor, digits)}]"
            cells.append(cell)
        lines.append(f"| {label_of(method)} | {' | '.join(cells)} |".replace("*", r"\*"))
    return "\n".join(lines)


def scores(docs: Path = DOCS) -> str:
    """The table of all rows, from mini-metrics.csv."""
    rows = read_metrics(docs)
    return table(rows, dict.fromkeys(row["method"] for row in rows), COLUMNS)


def summary(docs: Path = DOCS) -> str:
    """README's small table, from mini-metrics.csv."""
    return table(read_metrics(docs), SHORT_ROWS, SHORT)


def claims(docs: Path = DOCS) -> str:
    """The list of claims, from mini-claims.csv and, for the mean over seeds, seeds-claims.csv."""
    columns = []
    for name in ("mini", "seeds"):
        with open(docs / f"{name}-claims.csv", newline="") as file:
            columns.append({row["text"]: row["verdict"].replace("not tested", "–") for row in csv.DictReader(file)})
    one, several = columns
    lines = ["| claim of the papers | seed 0 | seeds 0, 1, 2 |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {claim} | {verdict} | {several[claim]} |" for claim, verdict in one.items())])


def speed(docs: Path = DOCS) -> str:
    """The table of speed, from mini-bench.json, without the figures of parts and sizes; and two sentences."""
    found = read_json(docs / "mini-bench.json")
    lines = ["| key | least | median | greatest | target |", "|---|---|---|---|---|"]
    for name, figure in found.items():
        if "median" in figure:
            cells = [f"{figure[which]:.3g}" for which in ("min", "median", "max")]
            relation, bound = TARGETS.get(name, ("", "–"))
            lines.append(f"| `{name}` | {' | '.join(cells)} | {relation} {bound} |".replace("|  –", "| –"))
    forward, own, scenes = (
        found[name] for name in ("render_speedup_forward", "render_speedup_own_samples", "sample_time_ratio")
    )
    nearer = scenes["kernel_distance_difference"]
    value, low, high = (1000 * nearer[which] for which in ("value", "low", "high"))
    lines += [
        "",
        f"- Of the points that both render, {100 * forward['evaluated']:.0f} % are not in empty space. PyTorch3D's own are "
        f"{own['samples'][0]} a ray, ours {own['samples'][1]}.",
        f"- Kernel distance × 1000 of {scenes['scenes']} scenes, fast less full: {value:.0f} [{low:.0f}, {high:.0f}]; view "
        f"consistency {scenes['fast']['consistency_psnr']:.1f} and {scenes['full']['consistency_psnr']:.1f} dB.",
    ]
    return "\n".join(lines)


BLOCKS: dict[str, Callable[[Path], str]] = {"summary": summary, "scores": scores, "claims": claims, "speed": speed}
PAGES = {"README.md": ("summary",), "docs/results.md": ("scores", "claims"), "docs/performance.md": ("speed",)}


def filled(page: str, content: str, docs: Path = DOCS) -> str:
    """The content of a page of PAGES with its tables made again."""
    for name in PAGES[page]:
        block = f"<!-- {name} -->\n{BLOCKS[name](docs)}\n<!-- end -->"
        content, count = re.subn(
            rf"<!-- {name} -->\n.*?<!-- end -->", lambda _, block=block: block, content, flags=re.DOTALL
        )
        assert count == 1, f"{page}: expected <!-- {name} --> ... <!-- end --> once"
    return content


def fill_pages(root: Path = ROOT) -> None:
    """Rewrite the tables of all documents from the copies in docs/."""
    for page in PAGES:
        (root / page).write_text(filled(page, (root / page).read_text(), root / "docs"))


def main(results: Path) -> None:
    preset = read_json(results / "preset.json")["preset"]
    if preset not in ("mini", "seeds"):
        sys.exit(f"error: {results}: a run of the preset {preset!r}; the reference results are of `mini` and `seeds`")
    for name in ("metrics", "claims", "curves"):
        shutil.copy(results / "tables" / f"{name}.csv", DOCS / f"{preset}-{name}.csv")
    if preset == "mini":
        take_pictures(results)
        if (results / "bench.json").is_file():
            shutil.copy(results / "bench.json", DOCS / "mini-bench.json")
    write_diagram(ROOT)
    fill_pages()


def take_pictures(results: Path) -> None:
    """Copy small versions of the figures that the documents show."""
    for name, width in (("samples-hydrant-s0", 900), ("consistency-hydrant", 900), ("curves-hydrant-s0", 1100)):
        short, source = name.split("-")[0], results / "figures" / f"{name}.png"
        picture = Image.open(source).convert("RGB")
        picture.thumbnail((width, 4000), Image.Resampling.LANCZOS)
        picture.save(DOCS / (f"{short}.jpg" if short == "samples" else f"{short}.png"), quality=85, optimize=True)
    take_overview()


def take_overview() -> None:
    """Cut README's picture out of docs/samples.jpg: the rows OVERVIEW_ROWS of the sheet."""
    sheet = Image.open(DOCS / "samples.jpg")
    methods = list(dict.fromkeys(row["method"] for row in read_metrics(DOCS) if not row["method"].startswith("real_")))
    edges = [round(sheet.height * row / (len(methods) + 1)) for row in range(len(methods) + 2)]
    rows = [methods.index(name) if name else len(methods) for name in OVERVIEW_ROWS]
    strips = [sheet.crop((0, edges[row], sheet.width, edges[row + 1])) for row in rows]
    overview = Image.new("RGB", (sheet.width, sum(strip.height for strip in strips)))
    for number, strip in enumerate(strips):
        overview.paste(strip, (0, sum(above.height for above in strips[:number])))
    overview.save(DOCS / "overview.jpg", quality=90, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
