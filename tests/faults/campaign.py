"""Everything that the tests of this folder try a share of, and 50 kills; writes the table of docs/reliability.md.

    python tests/faults/campaign.py [FOLDER] [--kills 50] [--minutes 60] [--scale 1]

Takes about an hour and a half on two cores. FOLDER keeps the runs that are killed; a campaign that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/reliability.md"
KINDS = {
    "bad input": "bad settings, images, masks, transforms, COLMAP models, annotations, scenes, weights, cameras, metrics",
    "cuts": "files cut at every kilobyte (safetensors, JSON, NumPy, gzip, zip, YAML)",
    "changes": "files of this program with changed bytes or values",
    "readers": "fuzzed images, transforms, COLMAP models and annotations",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Try everything that can go wrong, and write the table of it.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "holofusion-campaign")
    parser.add_argument("--kills", type=int, default=50, help="0: the table takes those of an earlier campaign")
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after that")
    parser.add_argument("--scale", type=float, default=1, help="share of the examples of generated input")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    failed = generated(given.folder / "counts", given.scale)
    if given.kills:
        command = [sys.executable, "tests/faults/kills.py", str(given.folder), "--minutes", str(given.minutes)]
        failed += subprocess.run([*command, "--kills", str(given.kills)], cwd=REPOSITORY).returncode
    write(given.folder, failed)
    sys.exit(bool(failed))


def generated(counts: Path, scale: float) -> int:
    """Run the tests of this folder at length; the number of those that failed."""
    counts.unlink(missing_ok=True)
    environment = os.environ | {"HOLOFUSION_CAMPAIGN": str(counts), "HOLOFUSION_SCALE": str(scale)}
    command = [sys.executable, "-m", "pytest", "tests/faults", "--timeout", "3600", "-m", "not slow"]
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    found = re.search(r"(\d+) failed", result.stdout)
    return int(found[1]) if found else int(result.returncode != 0)


def write(folder: Path, failed: int) -> None:
    """Put the table between the marks of the page."""
    counts = Counter((folder / "counts").read_text().splitlines() if (folder / "counts").exists() else [])
    rows = [f"| {text} | {counts[kind]:,} |" for kind, text in KINDS.items()]
    told = f"{failed} tests failed." if failed else "All were survived."
    if (folder / "kills.json").is_file():
        kills = json.loads((folder / "kills.json").read_text())
        rows.append(f"| kills of a run by SIGKILL, each taken up again | {kills['kills']} |")
        hits = ", ".join(f"{rule} {count}" for rule, count in sorted(kills["hits"].items()))
        told += f"\n\nRules at work when they were killed: {hits}. " if hits else "\n\n"
        wrong = len(kills["differences"]) + len(kills["failures"])
        told += (
            f"Of {kills['compared']} files that {kills['rounds']} killed runs made in the end, {wrong} differ from those of"
            " the undisturbed run (bytes; of JSON, values without times)."
            if kills["rounds"]
            else "The killed run was not finished when the campaign was stopped: nothing was compared."
        )
    cores = os.cpu_count()
    head = f"{date.today()}, {platform.machine()}, {cores} cores, Python {platform.python_version()}:"
    table = "\n".join([head, "", "| what | tried |", "|---|---|", *rows, "", told])
    before, _, rest = PAGE.read_text().partition("<!-- campaign -->\n")
    PAGE.write_text(f"{before}<!-- campaign -->\n{table}\n<!-- end -->\n{rest.partition('<!-- end -->' + chr(10))[2]}")


if __name__ == "__main__":
    main()
