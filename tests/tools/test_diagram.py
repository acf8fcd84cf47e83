"""The picture of the steps is of the workflow as it is."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from holofusion.pipeline.steps import STEPS
from tools.diagram import drawing, reduced, workflow_arrows


def closure(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """All pairs of which one leads to the other (Warshall's algorithm)."""
    names = {name for arrow in arrows for name in arrow}
    known = set(arrows)
    for middle, tail, head in itertools.product(names, repeat=3):
        if (tail, middle) in known and (middle, head) in known:
            known.add((tail, head))
    return known


@pytest.fixture(scope="module")
def arrows(repository: Path) -> set[tuple[str, str]]:
    return workflow_arrows(repository)


def test_the_file_is_of_the_present_workflow(arrows: set[tuple[str, str]], repository: Path) -> None:
    assert (repository / "docs/pipeline.svg").read_text() == drawing(reduced(arrows)), "run: python -m tools.diagram"


def test_reduction_keeps_what_leads_where_and_nothing_more(arrows: set[tuple[str, str]]) -> None:
    kept = reduced(arrows)
    assert closure(set(kept)) >= arrows
    for arrow in kept:
        assert arrow not in closure(set(kept) - {arrow})


def test_every_step_of_the_preset_has_a_box(arrows: set[tuple[str, str]]) -> None:
    boxes = re.findall(r">(\w+)</text>", drawing(reduced(arrows)))
    assert set(boxes) == set(STEPS) - {"download", "import"}  # those of photographs and of the row `external`
