"""Take a finished run of `make report` over as a reference result of the repository: make reference.

    python -m tools.reference RESULTS

RESULTS is a run of `mini`, `fine` or `seeds`. Copies its tables to docs/; from a run of `mini` or `fine` also small pictures and
the ladder; of `mini` also the times of its jobs, and bench.json if there is one. Draws docs/pipeline.svg. Then rewrites the
tables of README.md and docs/*.md from the copies: they stand between the marks `<!-- NAME -->` and `<!-- end -->`. A test
compares the documents with the copies.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.table import TARGETS
from holofusion.evaluation.ladder import Ladder, entry_of
from holofusion.evaluation.metrics import METRICS
from holofusion.pipeline.registry import REAL_ROWS, ROWS, label_of
from holofusion.utils.files import read_json
from tools.diagram import write_diagram
from tools.pictures import FINE_NEAREST_ROWS, FINE_SHEETS, take_ladder, take_nearest, take_pictures, take_sheets
from tools.reference_times import take_times

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
SHORT_ROWS = (
    "code_fusion",
    "code_fusion_mesh",
    "code_fusion_coarse",
    "local_estimate",
    "holofusion",
    "holodiffusion_star",
    "holodiffusion",
    "pigan",
    "eg3d",
    "real_floor",
)
CODES: tuple[Column, ...] = (
    *COLUMNS[:1],
    ("sharpness", "sharpness", 1, 2, False),
    ("precision", "precision", 1, 2, False),
    ("coverage", "coverage", 1, 2, False),
    COLUMNS[3],
    ("share of the commonest source", "commonest_source", 1, 2, False),
    ("sources", "sources", 1, 1, False),
)
LADDER = ("kernel", "sharpness", "precision", "coverage")


def text(value: str, factor: float, digits: int) -> str:
    return f"{float(value) * factor:.{digits}f}" if value else "–"


def read_metrics(docs: Path, preset: str = "mini") -> list[dict[str, str]]:
    with open(docs / f"{preset}-metrics.csv", newline="") as file:
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


def earlier(docs: Path = DOCS) -> str:
    """The rows that `mini` leaves to those who ask, of a run that had them, from earlier-metrics.csv."""
    rows = read_metrics(docs, "earlier")
    return table(rows, dict.fromkeys(row["method"] for row in rows), COLUMNS)


def summary(docs: Path = DOCS) -> str:
    """README's small table, from mini-metrics.csv."""
    return table(read_metrics(docs), SHORT_ROWS, SHORT)


def codes(docs: Path = DOCS, preset: str = "mini") -> str:
    """The table of the rows over codes and of the real images, from mini-metrics.csv or that of another preset."""
    rows = read_metrics(docs, preset)
    methods = dict.fromkeys(row["method"] for row in rows)
    return table(rows, [name for name in methods if name in REAL_ROWS or ROWS[name].over_codes], CODES)


def ladder(docs: Path = DOCS, name: str = "codes-ladder") -> str:
    """The stages of HoloFusion over codes, from the file of that name."""
    found: Ladder = read_json(docs / f"{name}.json")
    lines = ["| pictures of | kernel distance × 1000 | sharpness | precision | coverage | dB to the truth |"]
    lines.append("|---" * 6 + "|")
    for rung in found["rungs"]:
        cells = []
        for metric in LADDER:
            entry, scale = entry_of(rung, metric), METRICS[metric].scale
            cells.append("–" if entry is None else f"{scale * entry['value']:.{0 if metric == 'kernel' else 2}f}")
            if metric == "kernel" and entry is not None and entry["low"] is not None and entry["high"] is not None:
                cells[-1] += f" [{scale * entry['low']:.0f}, {scale * entry['high']:.0f}]"
        psnr = "–" if rung["psnr"] is None else f"{rung['psnr']:.1f}"
        lines.append(f"| {rung['label']} | {' | '.join(cells)} | {psnr} |")
    errors = found["denoisers"]
    lines += ["", "| error on held-out codes at SNR | " + " | ".join(f"{snr:.2g}" for snr in errors[0]["snr"]) + " |"]
    lines.append("|---" * (len(errors[0]["snr"]) + 1) + "|")
    lines += [f"| {each['name']} | " + " | ".join(f"{value:.3f}" for value in each["error"]) + " |" for each in errors]
    return "\n".join(lines)


def surfaces(docs: Path = DOCS) -> str:
    """The table of two fitted hydrants' files, from surfaces.json."""
    lines = [
        "| | overlap of outlines | colour error inside | Chamfer to the true surface × 1000 | normal consistency |"
    ]
    lines.append("|---" * 5 + "|")
    found = read_json(docs / "surfaces.json")
    for name, of in found.items():
        shape = f"{1000 * of['chamfer_file']:.1f} | {of['normals_file']:.3f}"
        lines.append(f"| `{name}` | {of['outlines']:.3f} | {of['colour']:.3f} | {shape} |")
    for name, of in found.items():
        lines.append(f"| `{name}`, true | | | {1000 * of['chamfer_true']:.1f} | {of['normals_true']:.3f} |")
    return "\n".join(lines)


def fusions(docs: Path = DOCS) -> str:
    """The table of ways of fusing the same hypotheses, from fusions.json."""
    lines = ["| way | seconds a scene | kernel distance × 1000 | sharpness |", "|---" * 4 + "|"]
    for way, of in read_json(docs / "fusions.json").items():
        value, low, high = (1000 * of["kernel"][which] for which in ("value", "low", "high"))
        seconds = f"{of['seconds']:.1f} | {value:.0f} [{low:.0f}, {high:.0f}]"
        lines.append(f"| {way} | {seconds} | {of['sharpness']['value']:.2f} |")
    return "\n".join(lines)


def claims(docs: Path = DOCS) -> str:
    """The list of claims, from mini-claims.csv and, for the mean over seeds, seeds-claims.csv."""
    columns = []
    for name in ("mini", "seeds"):
        with open(docs / f"{name}-claims.csv", newline="") as file:
            columns.append({row["text"]: row["verdict"].replace("not tested", "–") for row in csv.DictReader(file)})
    one, several = columns
    lines = ["| claim | over codes, seed 0 | over features, seeds 0, 1, 2 |", "|---|---|---|"]
    return "\n".join(
        [*lines, *(f"| {claim} | {verdict} | {several.get(claim, '–')} |" for claim, verdict in one.items())]
    )


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


BLOCKS: dict[str, Callable[[Path], str]] = {
    "summary": summary,
    "scores": scores,
    "earlier": earlier,
    "claims": claims,
    "speed": speed,
    "codes": codes,
    "ladder": ladder,
    "fine": lambda docs: codes(docs, "fine"),
    "fine-ladder": lambda docs: ladder(docs, "fine-ladder"),
    "surfaces": surfaces,
    "fusions": fusions,
}
PAGES = {
    "README.md": ("summary",),
    "docs/results.md": ("scores", "earlier", "claims"),
    "docs/codes.md": ("codes", "ladder", "fine", "fine-ladder", "fusions"),
    "docs/surfaces.md": ("surfaces",),
    "docs/performance.md": ("speed",),
}


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
    if preset not in ("mini", "fine", "seeds"):
        sys.exit(
            f"error: {results}: a run of the preset {preset!r}; the reference results are of `mini`, `fine` and `seeds`"
        )
    for name in ("metrics", "claims", "curves"):
        shutil.copy(results / "tables" / f"{name}.csv", DOCS / f"{preset}-{name}.csv")
    rows = dict.fromkeys(row["method"] for row in read_metrics(DOCS, preset))
    methods = [name for name in rows if name not in REAL_ROWS]
    if preset == "fine":
        take_sheets(results, DOCS, methods, FINE_SHEETS)
        take_nearest(results, DOCS / "fine-nearest.jpg", methods, FINE_NEAREST_ROWS)
        take_ladder(results, DOCS, "fine-ladder")
    if preset == "mini":
        take_pictures(results, DOCS, methods)
        take_ladder(results, DOCS, "codes-ladder")
        take_times(results)
        if (results / "bench.json").is_file():
            shutil.copy(results / "bench.json", DOCS / "mini-bench.json")
    write_diagram(ROOT)
    fill_pages()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
