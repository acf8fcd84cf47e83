"""Hash the code that a step runs: all modules of this package that it imports, directly or through others."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from holofusion.pipeline.registry import ROWS
from holofusion.pipeline.steps import Step

ROOT = Path(__file__).parents[2]


@cache
def code_hash(step: Step, method: str | None) -> str:
    """Hash of the modules of this package that a step runs for a method: its own, and all that these import."""
    digest = hashlib.sha256()
    for module, path in sorted(modules_of(step, method).items()):
        digest.update(module.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def modules_of(step: Step, method: str | None) -> dict[str, Path]:
    """Dotted name -> file of every module that `code_hash` counts.

    Any form of import counts, inside functions too. Importing a.b also runs the `__init__` of a; of such a file, only what
    stands outside functions counts as imported, since the rest is run by those who call it.
    """
    waiting = {step.module}
    row = ROWS.get(method or "")
    if step.uses_method and row and row.model:
        waiting.add(row.model.partition(":")[0])
    files: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if name in files or path is None:
            continue
        files[name] = path
        parts = name.split(".")
        waiting |= {".".join(parts[:length]) for length in range(1, len(parts))} | set(_imported(name, path))
    return files


def _file_of(module: str) -> Path | None:
    """The file of a module or package of this repository's package; None for what is not one, as an imported function."""
    path = ROOT.joinpath(*module.split("."))
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if module.split(".")[0] == "holofusion" and file.is_file()), None)


def _imported(module: str, path: Path) -> Iterator[str]:
    """Every name that a module imports, and each of what it takes from there, which may be a module itself."""
    package = path.name == "__init__.py"
    nodes: list[ast.AST] = [ast.parse(path.read_bytes())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: len(module.split(".")) - node.level + package] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
        if not (package and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            nodes += ast.iter_child_nodes(node)
