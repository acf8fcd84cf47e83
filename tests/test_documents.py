"""README is short; links of the documents lead somewhere; every document is in the index; what they say to type exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from holofusion.pipeline.registry import ROWS
from holofusion.pipeline.steps import STEPS

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "config/README.md")


def anchors(text: str) -> set[str]:
    """Names by which a page's headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_a_door_and_not_a_report() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{document.name}: {link}: no such heading"


def test_the_index_lists_every_document() -> None:
    index = (REPOSITORY / "docs/README.md").read_text()
    assert [path.name for path in DOCUMENTS if f"({path.name})" not in index and path.name != "README.md"] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_make_targets_exist(document: Path) -> None:
    assert set(re.findall(r"\bmake ([a-z]+)", "\n".join(code_of(document)))) <= make_targets()


def test_jobs_of_the_github_workflow_are_make_targets() -> None:
    job = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make ${{ matrix.target }}"]
    assert {target.split()[0] for target in job["strategy"]["matrix"]["target"]} <= make_targets()


def test_files_that_the_image_copies_are_there() -> None:
    copied = re.findall(r"^COPY (.+) \./$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert copied and all((REPOSITORY / name).exists() for name in copied[0].split())


def test_every_row_and_every_folder_of_results_is_explained() -> None:
    rows = (REPOSITORY / "docs/methods.md").read_text()
    assert [name for name in ROWS if f"| `{name}` |" not in rows] == []
    folders = (REPOSITORY / "docs/results-folder.md").read_text()
    made = {step.makes.partition("/")[0] for step in STEPS.values()} - {"dataset", "download", "tables"}
    assert [name for name in sorted(made) if f"`results/{name}/" not in folders] == []


def make_targets() -> set[str]:
    lines = re.findall(r"^([a-z.\- ]+):(?!=)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    return {name for line in lines for name in line.split()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_of_the_repository_that_are_named_exist(document: Path) -> None:
    """Paths in backquotes below the folders of the repository; `<name>`, `*` and capitals stand for something else."""
    names = re.findall(
        r"`((?:holofusion|tests|tools|workflow|config|benchmarks|docs|slurm)/[^`\s]*)`", document.read_text()
    )
    assert [name for name in names if not re.search(r"[<*A-Z]", name) and not (REPOSITORY / name).exists()] == []


def code_of(document: Path) -> list[str]:
    """Code in a document: between backquotes, or indented."""
    text = document.read_text()
    return re.findall(r"`([^`]+)`", text) + re.findall(r"^    (.+)$", text, re.MULTILINE)
