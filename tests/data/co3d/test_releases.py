"""The published lists that the package carries."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from holofusion.data.co3d.releases import CHECKSUMS, LINKS, METADATA, read_release
from holofusion.utils.files import UserError


def test_the_lists_are_complete_and_agree() -> None:
    links, sums = json.loads(LINKS.read_text()), json.loads(CHECKSUMS.read_text())
    counts = {name: len(urls) for name, urls in links["full"].items() if name != METADATA}
    assert len(counts) == 51 and sum(counts.values()) == 345
    assert [counts[name] for name in ("apple", "hydrant", "teddybear", "donut")] == [7, 9, 11, 3]
    for release, entries in links.items():
        names = [url.rsplit("/", 1)[1] for name, urls in entries.items() if name != METADATA for url in urls]
        assert [name.replace("_singlesequence", "") for name in names] == list(sums[release])
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in sums[release].values())
        assert len(set(sums[release].values())) == len(names)


def test_archives_of_the_full_release() -> None:
    release = read_release("full", ["donut"])
    assert [archive.name for archive in release.archives["donut"]] == [
        "donut_000.zip",
        "donut_001.zip",
        "donut_002.zip",
    ]
    assert release.archives["donut"][2].url == "https://dl.fbaipublicfiles.com/co3dv2_231130/donut_002.zip"
    assert release.archives["donut"][0].sha256 == "9919f1dfffbdd7daf9265e0c404e99c6549be6e8e8b044ee9c9c09008de1be56"
    assert release.metadata.endswith("/category_to_subset_name_list.json")


def test_single_sequence_archives_have_checksums_of_their_own() -> None:
    archive = read_release("singlesequence", ["donut"]).archives["donut"][0]
    assert archive.name == "donut_000_singlesequence.zip"
    assert archive.sha256 == "31610f4d57bb36dddb262a97ad46df5e2c44a24b122b9f0566c05762f74db621"


def test_own_links_come_without_the_published_checksums(tmp_path: Path) -> None:
    (tmp_path / "links.json").write_text('{"full": {"apple": ["https://example.org/apple_000.zip"]}}')
    assert read_release("full", ["apple"], tmp_path / "links.json").archives["apple"][0].sha256 is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"full": {"pear": []}}, "'apple' is not in the release 'full'; it has pear"),
        ({"part": {}}, "has no section 'full'"),
        ({"full": {"apple": ["ftp://a/apple.zip"]}}, "'ftp://a/apple.zip' is not the http"),
        ({"full": {"apple": ["https://a/..zip"]}}, "is not the http"),
    ],
)
def test_bad_lists(tmp_path: Path, content: dict, message: str) -> None:
    path = tmp_path / "links.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=re.escape(message)):
        read_release("full", ["apple"], path)
