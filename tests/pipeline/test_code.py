"""Which modules count as the code of a step."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holofusion.pipeline import code
from holofusion.pipeline.code import code_hash, modules_of
from holofusion.pipeline.steps import STEPS

METHOD = "pigan"


def closure(root: Path, start: set[str]) -> set[str]:
    """Every module of the package below `root` that those named reach: each import statement and each package on the way."""
    seen: set[str] = set()
    waiting = set(start)
    while waiting:
        name = waiting.pop()
        place = root / name.replace(".", "/")
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if name in seen or not name.startswith("holofusion") or not file.is_file():
            continue
        seen.add(name)
        waiting.add(name.rpartition(".")[0] or name)
        tree = ast.parse(file.read_text())
        if file.name == "__init__.py":  # nothing else of it runs when something below is imported
            tree.body = [part for part in tree.body if not isinstance(part, ast.FunctionDef)]
        for node in ast.walk(tree):
            names = {alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)}
            if isinstance(node, ast.Import):
                waiting |= names
            if isinstance(node, ast.ImportFrom):
                waiting |= {node.module or "", *(f"{node.module}.{each}" for each in names)}
    return seen


@pytest.mark.parametrize("step", STEPS.values(), ids=lambda step: step.name)
def test_the_code_of_a_step_is_all_that_it_imports(repository: Path, step) -> None:
    start = {step.module} | ({"holofusion.methods.pigan"} if step.uses_method else set())
    assert set(modules_of(step, METHOD)) == closure(repository, start)


def test_every_module_that_is_loaded_counts(repository: Path) -> None:
    """What Python itself loads for the step `evaluate`, one of whose modules is imported under another name."""
    loads = "import holofusion.steps.evaluate, json, sys; print(json.dumps(list(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(repository)}
    result = subprocess.run([sys.executable, "-c", loads], env=environment, capture_output=True, text=True, check=True)
    loaded = {name for name in json.loads(result.stdout) if name.split(".")[0] == "holofusion"}
    assert "holofusion.evaluation.features" in loaded
    assert loaded <= set(modules_of(STEPS["evaluate"], METHOD))


@pytest.mark.parametrize(
    ("statement", "counts"),
    [
        ("import holofusion.a.b", True),
        ("import holofusion.a.b as other", True),
        ("from holofusion.a import b", True),
        ("from holofusion.a import b as other", True),
        ("from holofusion.a import (\n    c,\n    b,\n)", True),
        ("from holofusion.a.b import thing", True),
        ("from .a import b", True),
        ("def run():\n    from holofusion.a import b", True),
        ("if True:\n    import holofusion.a.b", True),
        ("# import holofusion.a.b", False),
        ("'import holofusion.a.b'", False),
    ],
)
def test_every_form_of_import_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, counts: bool
) -> None:
    package = tmp_path / "holofusion"
    (package / "a").mkdir(parents=True)
    for name, text in (("__init__", ""), ("start", statement), ("a/__init__", ""), ("a/b", ""), ("a/c", "")):
        (package / f"{name}.py").write_text(text + "\n")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    step = type("Toy", (), {"module": "holofusion.start", "uses_method": False})()
    found = set(modules_of(step, None))
    assert ("holofusion.a.b" in found) == counts and ("holofusion.a" in found) == counts and "holofusion" in found


def test_a_change_shows_in_the_steps_that_run_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(code.ROOT / "holofusion", tmp_path / "holofusion")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    steps = ("train", "sample", "render", "evaluate", "mesh")

    def hashes() -> list[str]:
        code_hash.cache_clear()
        return [code_hash(STEPS[step], METHOD) for step in steps]

    before = hashes()
    for module, reached in (
        ("networks/siren.py", "train sample render mesh"),
        ("evaluation/kernel.py", "evaluate"),
        ("evaluation/features.py", "evaluate"),
        ("cli/main.py", ""),
    ):
        path = tmp_path / "holofusion" / module
        text = path.read_text()
        path.write_text(text + "\n# changed\n")
        changed = [step for step, old, new in zip(steps, before, hashes(), strict=True) if old != new]
        path.write_text(text)
        assert changed == reached.split(), module
    code_hash.cache_clear()
