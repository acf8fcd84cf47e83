"""What works without the extras, and what is said where one is missing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from holofusion.utils.extras import EXTRAS, optional
from holofusion.utils.files import UserError

CORE = (
    "scenes methods codes reconstruction networks training meshing rendering "
    "data.prepared pipeline cameras config diffusion utils cli.main"
)


def plain(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def extras() -> dict[str, set[str]]:
    """Distributions of each extra of pyproject.toml; under "" those of the core."""
    path = Path(__file__).resolve().parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {plain(re.split(r"[\[<>=~! ]", line)[0]) for line in lines} for extra, lines in lists.items()}


def test_modules_are_those_of_the_extras(extras: dict[str, set[str]]) -> None:
    distributions = packages_distributions()
    for extra, modules in EXTRAS.items():
        for module in modules:
            names = {plain(name) for name in distributions[module]}
            assert names & extras[extra], f"{module}: {names} are not in the extra {extra}"
            assert not names & extras[""], f"{module}: in the core"


def test_every_third_party_import_is_a_dependency(extras: dict[str, set[str]]) -> None:
    distributions, root = packages_distributions(), Path(__file__).resolve().parents[2]
    brought = {"markupsafe": "jinja2", "pydantic_core": "pydantic", "click": "typer"}  # by another package
    own = {"holofusion", "tests", "tools", "benchmarks"}
    declared = set().union(*extras.values())
    undeclared = set()
    for path in (path for folder in own for path in (root / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - own:
                # a package that is one extension module is not listed by its module; both have one name
                found = distributions.get(module, [module])
                if not {plain(brought.get(module, name)) for name in found} & declared:
                    undeclared.add(f"{path.relative_to(root)}: {module}")
    assert not undeclared


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where no module of an extra can be imported."""
    blocked = [module for modules in EXTRAS.values() for module in modules]
    block = f"import sys\nfor module in {blocked}: sys.modules[module] = None\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, timeout=300)


def test_the_core_is_imported_without_extras() -> None:
    walk = f"""
import importlib, pkgutil
for name in {CORE.split()}:
    package = importlib.import_module("holofusion." + name)
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
        importlib.import_module(found.name)
"""
    done = without_extras(walk)
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_named_in_one_line() -> None:
    with (
        pytest.raises(UserError, match=r"^torch_fidelity is not installed; .* 'holofusion\[evaluation\]'$"),
        optional(),
    ):
        raise ModuleNotFoundError("No module named 'torch_fidelity.utils'", name="torch_fidelity.utils")
    with pytest.raises(ModuleNotFoundError, match="nowhere"), optional():
        raise ModuleNotFoundError("No module named 'nowhere'", name="nowhere")


def test_a_verb_whose_extra_is_missing_says_so(tmp_path: Path) -> None:
    done = without_extras(
        f"sys.argv = ['holofusion', 'data', 'download', 'apple', '--root', {str(tmp_path)!r}]\n"
        "from holofusion.cli.main import main\nmain()"
    )
    assert done.returncode == 2
    assert done.stderr == "error: requests is not installed; install it with: pip install 'holofusion[pipeline]'\n"


def test_scoring_without_the_extra_says_so() -> None:
    done = without_extras(
        "import holofusion\nfrom holofusion.utils.files import UserError\n"
        "try: holofusion.score('pictures', 'data')\nexcept UserError as error: print(error)"
    )
    assert done.stdout.endswith("is not installed; install it with: pip install 'holofusion[evaluation]'\n"), (
        done.stderr
    )
