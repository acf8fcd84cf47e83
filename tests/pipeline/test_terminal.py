"""What a run shows: of records such as Snakemake writes, few lines, each of which says something."""

from __future__ import annotations

import io
import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holofusion.pipeline import terminal
from holofusion.pipeline.terminal import show_run
from holofusion.pipeline.time_left import Pace, benchmark_of


class Screen(io.StringIO):
    """Standard error that is a terminal, or none."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.isatty = lambda: terminal  # type: ignore[method-assign]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for step, seconds in (("train", 100.0), ("render", 10.0)):
        for name in ("a", "b"):
            write_benchmark(folder / f"benchmarks/{step}/{name}.tsv", seconds)
    return folder


def write_benchmark(path: Path, seconds: float, memory: float = 1500.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:10\t{memory}\t-\n")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen(False)
    monkeypatch.setattr("sys.stderr", made)
    return made


@pytest.fixture
def logger(results: Path, tmp_path: Path, screen: Screen) -> Iterator[logging.Logger]:
    """A logger as Snakemake leaves it: one handler for the terminal and one for its file; with the display in its place."""
    made = logging.getLogger(f"test {tmp_path}")
    made.propagate = False
    made.setLevel(logging.INFO)
    made.addHandler(logging.StreamHandler(screen))
    made.addHandler(logging.FileHandler(tmp_path / "snakemake.log"))
    show_run(made, results, 2, "make report")
    yield made
    end(made)


def say(
    logger: logging.Logger, event: str | None, level: int = logging.INFO, message: Any = None, **facts: Any
) -> None:
    logger.log(level, message, extra={"event": event, **facts} if event else facts)


def end(logger: logging.Logger) -> None:
    """What Snakemake does with its handlers at the end."""
    for handler in list(logger.handlers):
        handler.close()


def begin(logger: logging.Logger, results: Path, number: int, step: str, name: str) -> None:
    facts = {
        "log": [str(results / f"logs/{step}/{name}.log")],
        "benchmark": str(results / f"benchmarks/{step}/{name}.tsv"),
    }
    say(logger, "job_info", jobid=number, rule_name=step if step == "all" else f"step_{step}", **facts)


def test_a_whole_run_in_a_line_per_step(logger: logging.Logger, results: Path, screen: Screen, tmp_path: Path) -> None:
    say(logger, None, message="Building DAG of jobs...")
    say(logger, "run_info", message="a table", stats={"step_train": 1, "step_render": 2, "all": 1, "total": 4})
    for number, (step, name) in enumerate((("train", "a"), ("render", "a"), ("render", "b"))):
        begin(logger, results, number, step, name)
        say(logger, "shellcmd", message="holofusion train")
        write_benchmark(results / f"benchmarks/{step}/{name}.tsv", 5.0, 2000.0 + number)
        say(logger, "job_finished", message="Finished", job_id=number)
        say(logger, "progress", done=number + 1, total=4)
    begin(logger, results, 3, "all", "all")
    say(logger, "job_finished", job_id=3)
    end(logger)
    lines = screen.getvalue().splitlines()
    assert lines[0] == "3 jobs; about 1m00s, going by earlier runs here: train 1, render 2"
    assert lines[1] == f"Snakemake's own messages: {tmp_path / 'snakemake.log'} (VERBOSE=1 shows them here)"
    assert lines[2:] == ["train: 1 job, 0s, 2.0 GB", "render: 2 jobs, 0s, 2.0 GB", "3 jobs in 0s, at most 2.0 GB each"]
    assert "Building DAG" in (tmp_path / "snakemake.log").read_text()


def test_of_an_error_the_line_that_matters(logger: logging.Logger, results: Path, screen: Screen) -> None:
    say(logger, "run_info", stats={"step_train": 2, "total": 2})
    begin(logger, results, 0, "train", "a")
    log = results / "logs/train/a.log"
    log.parent.mkdir(parents=True)
    log.write_text("train 3/10\nerror: results/data/a: damaged\nwhat follows\n")
    say(logger, "error", logging.ERROR, "CalledProcessError in file", exception="RuleException")
    for _ in range(2):  # Snakemake says it again at the end
        say(logger, "job_error", logging.ERROR, "Error in rule", jobid=0, rule_name="step_train", log=[str(log)])
    say(logger, None, logging.ERROR, "Exiting because a job execution failed. Look below for error messages")
    end(logger)
    assert screen.getvalue().splitlines()[2:] == [
        "train a failed: error: results/data/a: damaged",
        f"  its log: {log}",
        "2 of 2 jobs are left; this goes on: make report",
    ]


def test_errors_of_snakemake_itself_are_shown(logger: logging.Logger, screen: Screen) -> None:
    say(logger, None, logging.WARNING, "a warning")
    say(logger, "error", logging.ERROR, "WorkflowError:\nno such rule", exception="WorkflowError")
    assert screen.getvalue() == "WorkflowError:\nno such rule\n"


def test_nothing_to_do(logger: logging.Logger, screen: Screen) -> None:
    say(logger, None, message="Nothing to be done (all requested files are present and up to date).")
    end(logger)
    assert screen.getvalue() == "nothing to do: everything is made from the present settings and inputs\n"


@pytest.mark.parametrize("on_terminal", [True, False])
def test_the_live_line(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_terminal: bool) -> None:
    screen = Screen(on_terminal)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(terminal, "EVERY", {True: 0.02, False: 0.02})
    monkeypatch.setenv("COLUMNS", "300")
    logger = logging.getLogger(f"live {tmp_path}")
    logger.setLevel(logging.INFO)
    show_run(logger, results, 2, "make report")
    say(logger, "run_info", stats={"step_train": 2, "total": 2})
    begin(logger, results, 0, "train", "a")
    log = results / "logs/train/a.log"
    log.parent.mkdir(parents=True)
    log.write_text("train 30/100  1.50/s  47s left  loss 1.0\n")
    time.sleep(0.3)
    say(logger, "job_finished", job_id=0)
    end(logger)
    shown = screen.getvalue()
    assert "0 of 2 jobs  |  train a 30 of 100, 47s left  |  about " in shown
    assert ("\r\033[K" in shown) == on_terminal
    assert shown.splitlines()[-1].endswith("1 of 2 jobs are left; this goes on: make report")


def test_time_left_is_of_what_was_measured(tmp_path: Path, results: Path) -> None:
    assert Pace(tmp_path / "none").left(Counter(step_train=1), {}, 10.0, 2) is None
    pace = Pace(results)
    assert pace.left(Counter(step_train=1, step_render=3), {}, 0.0, 2) == pytest.approx(130 / 2)
    assert pace.left(Counter(step_render=1, step_mesh=1), {}, 0.0, 2) == pytest.approx(20 / 2)  # counts as those known
    assert pace.left(Counter(step_render=1, step_mesh=2), {}, 0.0, 2) is None  # most are not known
    pace.finished("step_render", 20.0)
    assert pace.left(Counter(step_render=3), {"step_train": [30.0]}, 50.0, 1) == pytest.approx(60 + 70)
    assert pace.left(Counter(step_render=3), {"step_train": [180.0]}, 100.0, 8) == pytest.approx(60 / 2)


def test_a_benchmark_that_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    assert benchmark_of(path) is None
    for text in ("", "s\tmax_rss\n", "s\tmax_rss\n1.0\t-\n", "other\n1\n"):
        path.write_text(text)
        assert benchmark_of(path) is None
    write_benchmark(path, 3.5, 12.0)
    assert benchmark_of(path) == (3.5, 12.0)


@pytest.mark.parametrize("known", [True, False])
def test_before_anything_was_measured_here_a_forecast_is_told(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr("sys.stderr", screen := Screen(False))

    class Told:
        def __init__(self, preset: str) -> None:
            self.preset = preset

        def told(self, rules: Counter[str], cores: int) -> str:
            return f"{self.preset}, {rules['step_train']} on {cores}"

        def close(self) -> None: ...

    monkeypatch.setattr(terminal, "Forecast", Told)
    logger = logging.getLogger(f"told {tmp_path}")
    logger.setLevel(logging.INFO)
    show_run(logger, results if known else tmp_path / "none", 2, "make report", "mini")
    say(logger, "run_info", stats={"step_train": 2, "total": 2})
    end(logger)
    told = "about 1m40s, going by earlier runs here" if known else "mini, 2 on 2"
    assert screen.getvalue().splitlines()[0] == f"2 jobs; {told}: train 2"
