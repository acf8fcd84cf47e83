"""The list of steps, held against everything that spells a step's name, and a toy step that nothing else knows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import typer
import yaml

from holofusion.cli.main import app
from holofusion.config.params import Params, Threads
from holofusion.config.steps import MeshSettings
from holofusion.pipeline import scopes
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.provenance import provenance_of, record
from holofusion.pipeline.resolve import load_step, resolved_steps, write_resolved
from holofusion.pipeline.runs import RUN, Run, read_name, real_name
from holofusion.pipeline.status import tasks_of
from holofusion.pipeline.steps import STAGES, STEPS, Step
from holofusion.pipeline.verify import contents, examine


def rules_of(repository: Path) -> dict[str, str]:
    """Name and text of every rule of the workflow."""
    texts = [
        path.read_text() for path in [*(repository / "workflow/rules").glob("*.smk"), repository / "workflow/Snakefile"]
    ]
    parts = re.split(r"^rule (\w+):$", "\n".join(texts), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_step_has_a_rule_that_calls_its_verb(repository: Path) -> None:
    rules = rules_of(repository)
    assert set(rules) == {step.rule for step in STEPS.values()} | set(STAGES) | {"all"}
    for step in STEPS.values():
        text = rules[step.rule]
        assert re.search(rf'"\{{HOLOFUSION\}} {step.name} --config', text), step.name
        for folder in ("config_of", "log_of", *(("benchmark_of",) if step.name != "download" else ())):
            assert set(re.findall(rf'{folder}\("(\w+)"\)', text)) == {step.name}, step.name
        assert f'output_of("{step.name}")' in text
        assert ("gpu=1" in text) == step.gpu, step.name


def test_every_step_has_a_verb_and_a_module_of_its_name() -> None:
    verbs = typer.main.get_command(app).commands
    for step in STEPS.values():
        assert step.name in verbs, step.name
        assert callable(import_module(step.module).run)
        options = {name for parameter in verbs[step.name].params for name in parameter.opts}
        assert {"--config", "--log"} <= options, step.name


def test_what_else_names_steps_names_no_others(repository: Path) -> None:
    profile = yaml.safe_load((repository / "slurm/config.yaml").read_text())
    assert set(profile["set-resources"]) == {step.rule for step in STEPS.values() if step.gpu}
    assert set(profile["slurm-array-jobs"].split(",")) <= {step.rule for step in STEPS.values() if step.sharded}
    assert set(Threads.model_fields) <= set(STEPS)
    makefile = (repository / "Makefile").read_text().replace("\\\n", " ")
    benchmarks = re.search(r"^BENCHMARKS := (.*)$", makefile, re.MULTILINE)[1].split()
    assert benchmarks == [name for name in STEPS if name not in ("download", "report")]
    assert re.search(r"^data train sample evaluate: ", makefile, re.MULTILINE)


def test_stages_of_version_control_hold_what_their_steps_make(repository: Path) -> None:
    stages = yaml.safe_load((repository / "dvc.yaml").read_text())["stages"]
    assert tuple(stages) == STAGES
    for step in STEPS.values():
        outs = {next(iter(out)) if isinstance(out, dict) else out for out in stages[step.stage]["outs"]}
        if step.name not in ("download", "report"):  # photographs lie elsewhere; the page's files are listed one by one
            assert {f"results/{step.makes.split('/')[0]}", f"results/benchmarks/{step.name}"} <= outs, step.name


def test_the_settings_of_a_step_are_sections(repository: Path) -> None:
    for step in STEPS.values():
        for method in ("holofusion", "eg3d", "external"):
            assert set(step.settings_of(method).model_fields) <= set(Params.model_fields), step.name


def test_names_of_runs_are_read_as_they_are_written() -> None:
    run = Run("holofusion_mse", "toy_truck", 12)
    assert run.name == "holofusion_mse-toy_truck-s12" and Run.parse(run.name) == run
    assert (run.training.name, run.coarse.name) == ("holofusion-toy_truck-s12", "holodiffusion-toy_truck-s12")
    assert (run.warmup, run.codes, Run("pigan", "toy_truck", 12).warmup) == ("toy_truck-s12", None, None)
    assert (
        Run("gaussian", "toy_truck", 12).codes == "toy_truck-s12"
        and real_name("real_floor", "apple") == "real_floor-apple"
    )
    for wrong in ("a-b", "a-b-sx", "A-b-s0", "a-b-c-s0", "a-b-s0/1"):
        assert read_name(RUN, wrong) is None
        with pytest.raises(ValueError, match="not a name"):
            Run.parse(wrong)


def test_names_of_runs_are_spelled_in_one_place(repository: Path) -> None:
    spelled = re.compile(r"\}-s\{|-s\$\{|f\"[^\"]*-s\{")
    files = [
        path for name in ("holofusion", "workflow", "benchmarks", "tools") for path in (repository / name).rglob("*")
    ]
    found = [
        path.relative_to(repository).as_posix()
        for path in files
        if path.suffix in (".py", ".smk", ".j2", "") and path.is_file() and spelled.search(path.read_text())
    ]
    assert found == ["holofusion/pipeline/runs.py"]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Step:
    """A step that no module, rule or verb knows."""
    step = Step("toy", "evaluate", scopes.EACH_GENERATED, "toys/{name}/{shard}", MeshSettings)
    monkeypatch.setitem(STEPS, "toy", step)
    return step


@pytest.fixture
def results(project: Path, edit: Callable[..., None], toy: Step) -> Iterator[Path]:
    edit(project, methods=["pigan"])
    write_resolved(load_params(project / "params.yaml"), project / "results")
    return project / "results"


def test_a_new_step_is_found_without_any_other_edit(results: Path, toy: Step) -> None:
    config = results / "config/toy/pigan-hydrant-s0.yaml"
    resolved = load_step(config)
    assert isinstance(resolved.settings, MeshSettings) and resolved.run == Run("pigan", "hydrant", 0)
    waiting = [task for task in tasks_of(results) if task.step == "toy"]
    assert [(task.name, task.state) for task in waiting] == [
        ("pigan-hydrant-s0/0", "waiting"),
        ("pigan-hydrant-s0/1", "waiting"),
    ]
    made, source = results / "toys/pigan-hydrant-s0/0", results / "samples/pigan-hydrant-s0/0"
    for folder in (made, source):
        folder.mkdir(parents=True)
        (folder / "content.bin").write_bytes(b"1")
    record(resolved, made, [source], results)
    assert provenance_of(made)["step"] == "toy"
    assert [task.state for task in tasks_of(results) if task.step == "toy"] == ["done", "waiting"]
    assert contents(results, "evaluate") == {"toys/pigan-hydrant-s0/0": provenance_of(made)["content"]}
    assert examine(results)["toys/pigan-hydrant-s0/0"].fault is None
    (made / "content.bin").write_bytes(b"2")
    assert "not as it was made" in examine(results)["toys/pigan-hydrant-s0/0"].fault


def test_a_new_step_stands_in_the_page(results: Path, toy: Step) -> None:
    from holofusion.report.collect import read_results
    from holofusion.report.cost import step_seconds
    from holofusion.report.settings_table import settings_table

    trace = toy.trace_of(results / "benchmarks", "pigan-hydrant-s0", 0, ".tsv")
    trace.parent.mkdir(parents=True)
    trace.write_text("s\tmax_rss\n12.5\t100\n")
    found = read_results(results, ["pigan"], ["hydrant"], [0])
    assert step_seconds(found)["toy"] == (1, 12.5)
    shutil.rmtree(results / "config/mesh")
    assert "mesh" in settings_table(results, found.runs), "its settings are in the table"


def test_a_step_of_another_scope_has_other_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STEPS, "toy", replace(STEPS["mesh"], name="toy", scope=scopes.EACH_REAL))
    names = {each["name"] for each in resolved_steps(load_params(project / "params.yaml")) if each["step"] == "toy"}
    assert names == {f"{row}-hydrant" for row in ("real_floor", "real_blurred", "real_other", "real_copy")}
