"""Where and how the workflow is started: folders with spaces, other programs on PATH, settings given to Snakemake itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.workflow.plans import Edit, Snakemake, jobs, settings_in

ODD = "my 'odd' results, größer & $HOME"


@pytest.fixture
def project(repository: Path, tmp_path: Path) -> Path:
    return settings_in(repository, tmp_path / "project")


def resolved(project: Path, step: str, name: str, results: str = "results") -> dict:
    """The sections in a resolved settings file."""
    return yaml.safe_load((project / results / "config" / step / f"{name}.yaml").read_text())["settings"]


def errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]


def test_folders_may_have_any_name(project: Path, snakemake: Snakemake, edit: Edit, tmp_path: Path) -> None:
    """Results, project and photographs in folders whose names a shell would take apart, by way of a symbolic link."""
    edit(project, methods=["holofusion"])
    (tmp_path / "real").mkdir()
    odd = tmp_path / "an odd (place)"
    odd.symlink_to(tmp_path / "real")
    project.rename(odd / "project")
    result = snakemake(odd / "project", "--config", "preset=smoke", f"results={ODD}")
    assert result.returncode == 0, result.stderr
    assert (odd / "project" / ODD / "report.html").is_file()
    assert jobs(snakemake(odd / "project", "-n", "--config", "preset=smoke", f"results={ODD}")) == {}


def test_rules_call_the_program_of_this_environment(project: Path, snakemake: Snakemake, tmp_path: Path) -> None:
    called = tmp_path / "called"
    (tmp_path / "bin").mkdir()
    for name in ("holofusion", "python", "python3"):
        other = tmp_path / "bin" / name
        other.write_text(f"#!/bin/sh\ntouch {called}\nexit 1\n")
        other.chmod(0o755)
    (project / "holofusion").mkdir()
    (project / "holofusion/__init__.py").write_text(f"open({str(called)!r}, 'w')\n")
    result = snakemake(project, "data", "--config", "preset=smoke", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    assert not called.exists()


def test_settings_given_to_snakemake_count(project: Path, snakemake: Snakemake) -> None:
    mine = {"preset": "smoke", "synthetic": {"objects": 5}, "mesh": {"resolution": 9}, "results": "mine"}
    (project / "mine.yaml").write_text(yaml.safe_dump(mine) + "warmup: {learning_rate: 4e-3}\n")
    given = ("--configfile", "mine.yaml", "--config", "mesh={resolution: 11}", "seeds=[0, 3]", "methods=[pigan, eg3d]")
    result = snakemake(project, "-n", *given)
    assert jobs(result)["step_train"] == 4
    assert resolved(project, "dataset", "hydrant", "mine")["synthetic"]["objects"] == 5
    assert resolved(project, "mesh", "eg3d-hydrant-s3", "mine")["mesh"]["resolution"] == 11
    assert resolved(project, "render", "eg3d-hydrant-s3", "mine")["render"] == resolved_smoke_render(project)


def resolved_smoke_render(project: Path) -> dict:
    """The section `render` as the preset has it."""
    base = yaml.safe_load((project / "params.yaml").read_text())["render"]
    return base | yaml.safe_load((project / "config/smoke.yaml").read_text()).get("render", {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--config", "no_such_key=1"), "--config: no_such_key: unknown key; "),
        (("--config", "mesh={resolution: many}"), "--config: mesh.resolution: 'many' is not valid; "),
        (
            ("--configfile", "mine.yaml"),
            "mine.yaml: mesh.resolutoin: unknown key; did you mean 'mesh.resolution'?",
        ),
    ],
)
def test_mistakes_in_settings_given_to_snakemake_are_named(
    project: Path, snakemake: Snakemake, given: tuple[str, ...], message: str
) -> None:
    (project / "mine.yaml").write_text("preset: smoke\nmesh: {resolutoin: 9}\n")
    result = snakemake(project, "-n", *given)
    assert result.returncode == 2
    assert [message in line for line in errors(result)] == [True], result.stderr


def test_refusals_of_the_system_are_one_line(project: Path, snakemake: Snakemake) -> None:
    (project / "results").write_text("a file, not a folder")
    result = snakemake(project, "-n", "--config", "preset=smoke")
    assert result.returncode == 2 and len(errors(result)) == 1
    assert "results" in errors(result)[0] and "; " in errors(result)[0]
