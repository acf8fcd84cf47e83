"""The notebook runs, small, as Jupyter would run it: cell by cell in one namespace. It is committed without outputs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import trimesh

SMALL = {"size=128": "size=32", "resolution=96": "resolution=24"}


@pytest.fixture
def cells(repository: Path) -> list[Any]:
    notebook = nbformat.read(repository / "docs/objects.ipynb", as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(code: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    *body, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        body, value = [*body, last], None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return value


def test_every_cell_runs(cells: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = [cell.source for cell in cells]
    for large, small in SMALL.items():
        assert sum(text.count(large) for text in code) == 1
        code = [text.replace(large, small) for text in code]
    names: dict[str, Any] = {}
    _, picture, counts = [run(text, names) for text in code]
    assert picture.size == (4 * 32, 32) and picture.convert("L").getextrema()[0] < 200  # something is there
    mesh = trimesh.load(tmp_path / "hydrant.glb", force="mesh")
    assert min(counts) > 100 and len(mesh.faces) > 100


def test_it_is_short_and_has_no_outputs(cells: list[Any], repository: Path) -> None:
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    lines = [line for cell in cells for line in cell.source.splitlines() if line.strip()]
    assert len([line for line in lines if not re.match(r"import |from ", line)]) <= 10
    assert "(objects.ipynb)" in (repository / "docs/python.md").read_text()
