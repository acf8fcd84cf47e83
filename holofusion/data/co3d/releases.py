"""List the archives of the CO3Dv2 release by category, with addresses and SHA-256.

`co3d_links.json` and `co3d_sha256.json` hold the lists published with the data set (GitHub facebookresearch/co3d,
`co3d/links.json` and `co3d/co3d_sha256.json` at 2122fad) in their own format: 51 categories in 345 archives, 5.5 TB;
`singlesequence`, one sequence per task, is 8.9 GB. Licence of the data: CC BY-NC 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holofusion.utils.files import UserError, read_json

LINKS = Path(__file__).with_name("co3d_links.json")
CHECKSUMS = Path(__file__).with_name("co3d_sha256.json")
METADATA = "METADATA"  # the entry beside the categories: a JSON file of the set lists that each category has


@dataclass(frozen=True)
class Archive:
    """One zip file. sha256: hex, None where none is listed."""

    category: str
    name: str
    url: str
    sha256: str | None


@dataclass(frozen=True)
class Release:
    """archives: by category, in the order of the link list.  metadata: address of the set lists' names, or None."""

    name: str
    archives: dict[str, list[Archive]]
    metadata: str | None


def read_release(
    name: str, categories: Sequence[str], links: Path | None = None, checksums: Path | None = None
) -> Release:
    """The archives of some categories of the release `name`, `full` or `singlesequence`.

    links, checksums: other lists in the same format; a link list of one's own comes without the published checksums.
    Raises UserError for a list that is malformed, a release or a category that it lacks.
    """
    if checksums is None and links is None:
        checksums = CHECKSUMS
    links = links or LINKS
    listed = _section(links, name)
    known = sorted(set(listed) - {METADATA})
    sums = _section(checksums, name) if checksums else {}
    archives = {}
    for category in categories:
        if category not in known:
            raise UserError(f"{links}: {category!r} is not in the release {name!r}; it has {', '.join(known)}")
        archives[category] = [_archive(links, category, url, sums) for url in listed[category]]
    metadata = listed.get(METADATA) or [None]
    return Release(name, archives, metadata[0])


def _section(path: Path, name: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise UserError(f"{path}: has no section {name!r}; expected the lists of `full` or `singlesequence` archives")
    return content[name]


def _archive(links: Path, category: str, url: Any, sums: dict[str, Any]) -> Archive:
    match = re.fullmatch(r"https?://\S+/([\w-][\w.-]*\.zip)", url) if isinstance(url, str) else None
    if not match:
        raise UserError(f"{links}: {category}: {url!r} is not the http(s) address of a .zip file")
    name = match[1]
    # the published checksums name the single-sequence archives without their suffix
    sha256 = sums.get(name, sums.get(name.replace("_singlesequence", "")))
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", str(sha256)):
        raise UserError(f"{name}: its listed SHA-256 {sha256!r} is not 64 hexadecimal digits")
    return Archive(category, name, url, sha256)
