"""Push results to the DVC remote and pull them; report failures in one line."""

from __future__ import annotations

import re
import subprocess
import sys

from holofusion.utils.files import UserError

ERROR = re.compile(r"^ERROR: (?:unexpected error - )?(.*)")


def synchronise(verb: str) -> None:
    """Run `dvc push` or `dvc pull`. Raises UserError naming the cause if it fails; what has been transferred stays."""
    command = [sys.executable, "-m", "dvc", verb]
    process = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if process.returncode == 0:
        return
    causes = [match[1] for line in process.stderr.splitlines() if (match := ERROR.match(line))]
    # of many files that fail alike the first is told, and the last line counts them
    cause = "; ".join(dict.fromkeys([*causes[:1], *causes[-1:]])) or f"failed with status {process.returncode}"
    raise UserError(f"dvc {verb}: {cause}; nothing is lost, the same command goes on where this one stopped")
