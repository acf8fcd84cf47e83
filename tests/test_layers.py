"""Imports point one way: from the command down to files and seeds, and never to the workflow."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

LAYERS = (
    # each may import what stands above it, and its own layer
    ("diffusion", "utils"),
    ("cameras", "config"),
    ("rendering", "data", "pipeline"),
    ("networks", "training", "meshing", "reconstruction", "codes", "models"),
    ("scenes", "evaluation"),
    ("methods", "report"),
    ("steps", "objects"),
    ("cli", "__main__"),
)


def modules(repository: Path) -> dict[str, Path]:
    package = repository / "holofusion"
    found = {}
    for path in package.rglob("*.py"):
        parts = ["holofusion", *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Every module imported anywhere in the file, functions included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer_of(module: str) -> int:
    name = module.removeprefix("holofusion.")
    for part in (name, name.split(".")[0]):
        for number, layer in enumerate(LAYERS):
            if part in layer:
                return number
    raise AssertionError(f"{module}: in no layer; add it to LAYERS in {__file__}")


def internal(repository: Path) -> dict[str, set[str]]:
    """The modules of the package that each of them imports."""
    known = modules(repository)
    return {
        name: (imports(path) & set(known)) - {"holofusion", name}
        for name, path in known.items()
        if name != "holofusion"
    }


def test_imports_point_down(repository: Path) -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in internal(repository).items()
        for other in others
        if layer_of(other) > layer_of(module)
    ]
    assert not wrong


def test_no_import_cycles(repository: Path) -> None:
    packages = {name for name, path in modules(repository).items() if path.name == "__init__.py"}
    TopologicalSorter({name: others - packages for name, others in internal(repository).items()}).prepare()


def test_the_package_knows_nothing_of_the_workflow(repository: Path) -> None:
    for name, path in modules(repository).items():
        roots = {imported.split(".")[0] for imported in imports(path)}
        assert "snakemake" not in roots, name
        assert "yaml" not in roots or name == "holofusion.config.load", name


def test_the_workflow_imports_no_torch(repository: Path) -> None:
    for path in [repository / "workflow" / "Snakefile", *(repository / "workflow" / "rules").glob("*.smk")]:
        for line in path.read_text().splitlines():
            if line.startswith(("import ", "from ")):
                module = line.split()[1]
                light = module.startswith(("holofusion.pipeline", "holofusion.config", "holofusion.utils"))
                standard = module.split(".")[0] in {*sys.stdlib_module_names, "snakemake"}
                assert light or standard, f"{path.name}: {line}"
