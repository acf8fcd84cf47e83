"""Take a finished run of `make report` over as a reference result of the repository: make reference.

    PYTHONPATH=. python tools/reference.py RESULTS

Copies the tables of RESULTS, a run of `mini` or `seeds`, and of the former small pictures and bench.json, if it was made, to
docs/, and rewrites README's tables, which stand between the marks `<!-- NAME -->` and `<!-- end -->`, from the copies. A test
compares README with them.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from pathlib import Path

from PIL import Image

from benchmarks.table import TARGETS
from holofusion.report.paper import label_of
from holofusion.utils.files import read_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
COLUMNS = (
    # title, metric and factor; with its interval, or alone
    ("kernel distance × 1000", "kd_efficientnet_lite2", 1000, 0, True),
    ("Fréchet distance", "fd_efficientnet_lite2", 1, 0, False),
    ("coverage", "coverage", 1, 2, False),
    ("agreement of views, dB", "consistency_psnr", 1, 1, True),
    ("shape: matching distance × 1000", "chamfer_mmd", 1000, 0, False),
    ("floaters", "floaters", 1, 3, False),
    ("images", "n_generated", 1, 0, False),
)


def text(value: str, factor: float, digits: int) -> str:
    return f"{float(value) * factor:.{digits}f}" if value else "–"


def scores(docs: Path = DOCS) -> str:
    """README's table of scores, from mini-metrics.csv."""
    with open(docs / "mini-metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["method"], row["metric"]): row for row in rows}
    lines = ["| row | " + " | ".join(column[0] for column in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = []
        for _, metric, factor, digits, interval in COLUMNS:
            name = "kd_efficientnet_lite2" if metric == "n_generated" else metric
            row = found.get((method, name))
            value = row["n_generated" if metric == "n_generated" else "value"] if row else ""
            cell = text(value, factor, digits)
            if interval and row and row["low"]:
                cell += f" [{text(row['low'], factor, digits)}, {text(row['high'], factor, digits)}]"
            cells.append(cell)
        lines.append(f"| {label_of(method)} | {' | '.join(cells)} |".replace("*", r"\*"))
    return "\n".join(lines)


def claims(docs: Path = DOCS) -> str:
    """README's list of claims, from mini-claims.csv and, for the mean over seeds, seeds-claims.csv."""
    columns = []
    for name in ("mini", "seeds"):
        with open(docs / f"{name}-claims.csv", newline="") as file:
            columns.append({row["text"]: row["verdict"].replace("not tested", "–") for row in csv.DictReader(file)})
    one, several = columns
    lines = ["| claim of the papers | seed 0 | seeds 0, 1, 2 |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {claim} | {verdict} | {several[claim]} |" for claim, verdict in one.items())])


def speed(docs: Path = DOCS) -> str:
    """README's table of speed, from mini-bench.json: its figures but for those of parts and sizes; and some words."""
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
        f"- Kernel distance × 1000 of {scenes['scenes']} scenes, fast less full: {value:.0f} [{low:.0f}, {high:.0f}]; agreement "
        f"of their views {scenes['fast']['consistency_psnr']:.1f} and {scenes['full']['consistency_psnr']:.1f} dB.",
    ]
    return "\n".join(lines)


def filled(readme: str, docs: Path = DOCS) -> str:
    """README's text with its tables made again."""
    for name, content in (("scores", scores(docs)), ("claims", claims(docs)), ("speed", speed(docs))):
        block = f"<!-- {name} -->\n{content}\n<!-- end -->"
        readme, count = re.subn(
            rf"<!-- {name} -->\n.*?<!-- end -->", lambda _, block=block: block, readme, flags=re.DOTALL
        )
        assert count == 1, f"README.md: expected <!-- {name} --> ... <!-- end --> once"
    return readme


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
    readme = DOCS.parent / "README.md"
    readme.write_text(filled(readme.read_text()))


def take_pictures(results: Path) -> None:
    """Copy small versions of the figures that README shows."""
    for name, width in (("samples-hydrant-s0", 900), ("consistency-hydrant", 900), ("curves-hydrant-s0", 1100)):
        short, source = name.split("-")[0], results / "figures" / f"{name}.png"
        picture = Image.open(source).convert("RGB")
        picture.thumbnail((width, 4000), Image.Resampling.LANCZOS)
        picture.save(DOCS / (f"{short}.jpg" if short == "samples" else f"{short}.png"), quality=85, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
