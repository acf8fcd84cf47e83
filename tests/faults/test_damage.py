"""Files that this program wrote, cut or changed afterwards: read as they were, or refused in one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holofusion.utils.files import UserError
from tests.faults import generators
from tests.faults.artefacts import ARTEFACTS, LINES, Artefact, bytes_of, make_all
from tests.faults.tally import COUNTS, examples, tried

SHARE = 12  # cuts of a file in `make test`


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_all(tmp_path_factory.mktemp("artefacts"))


def cuts(size: int) -> list[int]:
    """Lengths that a file of `size` bytes is cut to: every kilobyte; of short ones, every part of sixteen."""
    step = min(1024, max(1, size // 16))
    every = [*range(0, size - 1, step), size - 2]  # the last byte of a text ends its last line, and nothing else
    return (
        every
        if COUNTS or len(every) <= SHARE
        else [every[index * (len(every) - 1) // (SHARE - 1)] for index in range(SHARE)]
    )


def read(folder: Path, artefact: Artefact, content: bytes, name: str) -> str | None:
    """What is said of a file with this content; None if it is read. Puts the sound one back."""
    path = folder / artefact.place
    path.write_bytes(content)
    try:
        artefact.read(folder)
    except UserError as error:
        return str(error)
    finally:
        path.write_bytes(bytes_of(folder)[name])
    return None


@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_cut_is_refused_by_name(folder: Path, name: str) -> None:
    artefact, content = ARTEFACTS[name], bytes_of(folder)[name]
    assert read(folder, artefact, content, name) is None
    for length in cuts(len(content)):
        said = read(folder, artefact, content[:length], name)
        assert said is not None, f"cut to {length} of {len(content)} bytes, and read"
        assert "\n" not in said and (
            Path(artefact.place).name in said or said.startswith(str((folder / artefact.place).parent))
        )
        tried("cuts")


@pytest.mark.parametrize("name", LINES)
def test_a_cut_is_refused_or_ends_a_line(folder: Path, name: str) -> None:
    artefact, content = LINES[name], bytes_of(folder)[name]
    assert read(folder, artefact, content, name) is None
    for length in cuts(len(content)):
        said = read(folder, artefact, content[:length], name)
        assert said is None or all(Path(artefact.place).name in line for line in said.splitlines())
        tried("cuts")


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes that differ in one to three places; of JSON, also values that do."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if value is not None and draw(st.integers(0, 3)):
        return json.dumps(with_other_values(draw, value)).encode(errors="replace")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content) - 1))
        content = content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1 :]
    return content


def with_other_values(draw: st.DrawFn, value: Any) -> Any:
    """The same JSON value; somewhere in it, another stands, or a key is gone."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 4)) == 0:
            return {name: inner for name, inner in value.items() if name != key}
        return value | {key: with_other_values(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], with_other_values(draw, value[place]), *value[place + 1 :]]
    return draw(generators.JSON)


@pytest.mark.parametrize("name", [*ARTEFACTS, *LINES])
def test_changes_are_read_or_refused(folder: Path, name: str) -> None:
    artefact = (ARTEFACTS | LINES)[name]

    @examples(15, 1500)
    @given(content=changed(bytes_of(folder)[name]))
    def look(content: bytes) -> None:
        said = read(folder, artefact, content, name)
        assert said is None or all(line.strip() for line in said.splitlines())
        tried("changes")

    look()
