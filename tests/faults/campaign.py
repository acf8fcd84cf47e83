"""Everything that the tests of this folder try a share of, and 50 kills; writes the table of docs/reliability.md.

    python tests/faults/campaign.py [FOLDER] [--kills 50] [--minutes 60] [--scale 1]

Takes about half an hour on two cores. FOLDER keeps what is done; a campaign that was stopped goes on there, and one
that had finished only writes its table. Another FOLDER, or an empty one, begins anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from holofusion.utils.files import read_json, write_json

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/reliability.md"
KINDS = {
    "bad input": "bad settings, images, masks, transforms, COLMAP models, annotations, scenes, weights, cameras, metrics",
    "cuts": "files cut at every kilobyte (safetensors, JSON, NumPy, gzip, zip, YAML)",
    "changes": "files of this program with changed bytes or values",
    "readers": "fuzzed images, transforms, COLMAP models and annotations",
}
TESTS = {
    "test_bad_input.py": "bad input",
    "::test_a_cut": "cuts",
    "::test_changes": "changes",
    "test_readers.py": "readers",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Try everything that can go wrong, and write the table of it.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "holofusion-campaign")
    parser.add_argument("--kills", type=int, default=50, help="0: the table takes those of an earlier campaign")
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after that")
    parser.add_argument("--scale", type=float, default=1, help="share of the examples of generated input")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    made = generated(given.folder, given.scale)
    status = bool(made["failed"])
    if given.kills:
        command = [sys.executable, "tests/faults/kills.py", str(given.folder), "--minutes", str(given.minutes)]
        status |= bool(subprocess.run([*command, "--kills", str(given.kills)], cwd=REPOSITORY).returncode)
    write(given.folder, made)
    sys.exit(status)


def generated(folder: Path, scale: float) -> dict[str, Any]:
    """Run the tests of this folder at length, unless that was done: `scale`, what `survived` and what `failed`, by kind."""
    kept, counts = folder / "generated.json", folder / "counts"
    if kept.is_file():
        return read_json(kept)
    counts.unlink(missing_ok=True)
    environment = os.environ | {"HOLOFUSION_CAMPAIGN": str(counts), "HOLOFUSION_SCALE": str(scale)}
    command = [sys.executable, "-m", "pytest", "tests/faults", "--timeout", "3600", "-m", "not slow", "-rf"]
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    names = re.findall(r"^FAILED (\S+)", result.stdout, re.MULTILINE)
    failed = Counter(next((kind for part, kind in TESTS.items() if part in name), "other tests") for name in names)
    if result.returncode and not failed:
        sys.exit(result.returncode)  # it did not run to its end: nothing to keep
    survived = Counter(counts.read_text().splitlines())
    made = {"scale": scale, "survived": dict(survived), "failed": dict(failed)}
    write_json(kept, made)
    return made


def write(folder: Path, made: dict[str, Any]) -> None:
    """Put the table between the marks of the page."""
    rows, notes = [], []
    for kind, text in KINDS.items():
        survived, failed = made["survived"].get(kind, 0), made["failed"].get(kind, 0)
        rows.append(f"| {text} | {survived + failed:,} | {survived:,} |")
    if made["scale"] != 1:
        notes.append(f"Of generated input, {made['scale']:g} times the examples of a whole campaign were tried.")
    if (folder / "kills.json").is_file():
        kills = read_json(folder / "kills.json")
        wrong = len(kills["differences"]) + len(kills["failures"])
        survived = kills["kills"] if kills["rounds"] and not wrong else 0
        rows.append(f"| kills of a run by SIGKILL, each taken up again | {kills['kills']} | {survived} |")
        hits = ", ".join(f"{rule} {count}" for rule, count in sorted(kills["hits"].items()))
        notes.append(f"At work when they were killed, of {kills['rules']} rules: {hits}.")
        notes.append(
            f"Of {kills['compared']} files that the killed runs made in the end, {wrong} differ from those of the undisturbed"
            " run (bytes; of JSON, and of the headers of weights, values without times)."
            if kills["rounds"]
            else "The killed run was not finished when the campaign was stopped: nothing was compared."
        )
    head = f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}:"
    table = "\n".join([head, "", "| what | tried | survived |", "|---|---|---|", *rows, "", "\n".join(notes)])
    before, _, rest = PAGE.read_text().partition("<!-- campaign -->\n")
    PAGE.write_text(f"{before}<!-- campaign -->\n{table}\n<!-- end -->\n{rest.partition('<!-- end -->' + chr(10))[2]}")


if __name__ == "__main__":
    main()
