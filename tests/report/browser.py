"""A headless browser that shows a page and hands back what a script finds on it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FLAGS = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
FLAGS += ["disable-component-update", "disable-sync", "hide-scrollbars", "virtual-time-budget=30000"]


def browse(page: Path, size: str, profile: Path) -> tuple[dict[str, Any], list[str]]:
    """What the page's script leaves as JSON in an element `pre` with id `seen`, and the lines of the console.

    size: of the window, `1000,900`. Skips the test where there is no browser.
    """
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on this machine")
    flags = [*FLAGS, f"window-size={size}", "dump-dom", f"user-data-dir={profile}", "enable-logging=stderr"]
    command = [chromium, *(f"--{flag}" for flag in flags), page.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="seen">(.*?)</pre>', run.stdout, re.DOTALL)
    assert found, run.stderr[-2000:]
    return json.loads(html.unescape(found[1])), re.findall(r".*CONSOLE.*", run.stderr)
