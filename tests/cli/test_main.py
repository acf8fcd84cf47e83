"""The command `holofusion`: help for every verb, one line for bad input, and a log that holds what the terminal shows."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import typer
from typer.testing import CliRunner

from holofusion.cli.main import app, main
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import ROWS
from holofusion.pipeline.resolve import write_resolved
from holofusion.pipeline.steps import STEPS
from holofusion.report.collect import RunResults
from holofusion.report.commands import commands
from holofusion.utils.log_file import STATUS, Mirror

Command = Callable[..., CompletedProcess[str]]
GROUP = typer.main.get_command(app)
COMMANDS = {name: command for name, command in GROUP.commands.items() if not hasattr(command, "commands")}
COMMANDS |= {f"data {name}": command for name, command in GROUP.commands["data"].commands.items()}
VERBS = sorted(COMMANDS)


@pytest.fixture
def resolved(project: Path) -> Path:
    """Settings files of the smoke preset."""
    write_resolved(load_params(project / "params.yaml", "smoke"), project / "results")
    return project / "results" / "config"


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example_that_is_valid(verb: str) -> None:
    result = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert result.exit_code == 0
    # help text is wrapped, also inside words with hyphens: read the example from the source
    example = COMMANDS[verb].callback.__doc__.split("Example: ")[1]
    named, arguments = ["holofusion", *verb.split()], shlex.split(example)
    assert arguments[: len(named)] == named
    COMMANDS[verb].make_context(verb, arguments[len(named) :])


@pytest.fixture(scope="module")
def made(repository: Path) -> set[str]:
    """All that `params.yaml` has the pipeline make and read, and the folders around it; also for the row `external`."""
    params = load_params(repository / "params.yaml")
    params = params.model_copy(update={"methods": [*params.methods, "external"]})
    found = {"results"}
    for step in STEPS.values():
        for subject in step.scope.subjects(params):
            name = step.scope.name(subject)
            for path in (f"config/{step.name}/{name}.yaml", step.makes.format(name=name, shard=0)):
                found |= {f"results/{part}" for part in (Path(path), *Path(path).parents)}
    return found


@pytest.mark.parametrize(
    "verb_or_page", [*sorted({*VERBS} - {"download"}), "docs/python.md"]
)  # embedded data need none
def test_runs_of_examples_are_those_that_the_preset_makes(verb_or_page: str, made: set[str], repository: Path) -> None:
    text = (
        COMMANDS[verb_or_page].callback.__doc__ if verb_or_page in COMMANDS else (repository / verb_or_page).read_text()
    )
    named = [path.rstrip("/.") for path in re.findall(r"\bresults/[\w./-]+", text)]
    assert [path for path in named if path not in made and not re.search("RUN|CATEGORY|SEED", path)] == []


@pytest.mark.parametrize("method", ROWS)
def test_commands_shown_in_the_report_are_valid(method: str) -> None:
    run = RunResults(method, "hydrant", 0, Path("results"), *[None] * 4, {}, [{}, {}], None, None)
    for line in commands(run):
        program, verb, *arguments = shlex.split(line, comments=True)
        assert program == "holofusion"
        GROUP.commands[verb].make_context(verb, arguments)


def test_sampling_is_given_no_data_since_it_reads_none() -> None:
    assert "--data" not in {name for parameter in COMMANDS["sample"].params for name in parameter.opts}


def test_every_verb_is_registered_once() -> None:
    assert len(app.registered_groups) == 1
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert len(names) == len(set(names))


def test_help_is_quick_because_it_loads_no_torch(holofusion: Command) -> None:
    result = holofusion("--help")
    assert result.returncode == 0 and all(verb.split()[0] in result.stdout for verb in VERBS)


def failure(result: CompletedProcess[str]) -> str:
    """The one line printed by a command that refused its input."""
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1 and "Traceback" not in result.stderr
    return result.stderr.strip()


def test_missing_settings_file(holofusion: Command, tmp_path: Path) -> None:
    result = holofusion("reference", "--config", tmp_path / "a.yaml", "--data", tmp_path, "--out", tmp_path / "b.json")
    assert failure(result) == f"error: {tmp_path / 'a.yaml'}: no such file"


def test_settings_of_another_step(holofusion: Command, resolved: Path, tmp_path: Path) -> None:
    config = resolved / "dataset" / "hydrant.yaml"
    result = holofusion("prepare", "--config", config, "--dataset", tmp_path, "--out", tmp_path / "out")
    assert failure(result) == f"error: {config}: holds settings of the step 'dataset', this is 'prepare'"


def test_data_of_another_category(holofusion: Command, resolved: Path, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"category": "donut"}')
    config = resolved / "reference" / "real_floor-hydrant.yaml"
    result = holofusion("reference", "--config", config, "--data", tmp_path, "--out", tmp_path / "out.json")
    assert failure(result) == f"error: {tmp_path}: holds 'donut', {config} is for 'hydrant'"
    assert not (tmp_path / "out.json").exists()


def test_unusable_device(holofusion: Command, resolved: Path, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"category": "hydrant"}')
    config = resolved / "warmup" / "hydrant-s0.yaml"
    arguments = ("--config", config, "--data", tmp_path, "--out", tmp_path / "out", "--device", "abacus")
    assert failure(holofusion("warmup", *arguments)).startswith("error: --device abacus: not usable here (")


def test_bad_params_give_one_line_each(holofusion: Command, project: Path, edit: Callable[..., None]) -> None:
    edit(project, drop="warmup.learning_rate", **{"warmup.lerning_rate": 1.0})
    result = holofusion("resolve", cwd=project)
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "error: params.yaml: warmup.learning_rate: missing; every key must be given (config/README.md explains them)",
        "error: params.yaml: warmup.lerning_rate: unknown key; did you mean 'warmup.learning_rate'?",
    ]
    assert not (project / "results").exists()


def test_log_holds_messages_and_errors(holofusion: Command, resolved: Path, tmp_path: Path) -> None:
    config, log = resolved / "prepare" / "hydrant.yaml", tmp_path / "logs" / "prepare.log"
    arguments = ("--config", config, "--dataset", tmp_path / "absent", "--out", tmp_path / "out", "--log", log)
    result = holofusion("prepare", *arguments)
    assert result.returncode == 2
    assert log.read_text() == result.stderr != ""
    assert not (tmp_path / "out").exists()


def test_refusals_of_the_system_are_one_line_and_a_traceback_in_the_log(
    holofusion: Command, resolved: Path, tmp_path: Path
) -> None:
    config, log = resolved / "floor.yaml", tmp_path / "floor.log"
    config.mkdir()
    result = holofusion("reference", "--config", config, "--data", tmp_path, "--out", tmp_path / "out", "--log", log)
    assert failure(result).startswith(f"error: {config}: Is a directory; ")
    assert "Traceback" in log.read_text() and "IsADirectoryError" in log.read_text()


def test_faults_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("holofusion.cli.main.app", fail)
    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize(
    ("every", "logged"),
    [(3600, "train 3/3\nsaved\n"), (0, "train 1/3\ntrain 2/3\ntrain 3/3\nsaved\n")],
)
def test_status_lines_become_plain_lines_in_the_log(every: float, logged: str) -> None:
    terminal, log = io.StringIO(), io.StringIO()
    mirror = Mirror(terminal, log, every)
    for step in range(1, 4):
        print(f"{STATUS}train {step}/3", end="\n" if step == 3 else "", file=mirror, flush=True)
    print("saved", file=mirror)
    assert terminal.getvalue() == f"{STATUS}train 1/3{STATUS}train 2/3{STATUS}train 3/3\nsaved\n"
    assert log.getvalue() == logged


def test_a_message_after_an_unfinished_status_line_gets_its_own_line() -> None:
    log = io.StringIO()
    print(f"{STATUS}train 1/3", end="", file=(mirror := Mirror(io.StringIO(), log)))
    print("killed", file=mirror)
    assert log.getvalue() == "train 1/3\nkilled\n"
