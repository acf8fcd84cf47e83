"""What a run says before its first job: a finished run's times, for this machine's speed, its cores and the jobs there are."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from holofusion.pipeline import forecast
from holofusion.pipeline.forecast import Forecast, ReferenceRun, reference_runs
from holofusion.pipeline.steps import STEPS
from tools import reference_times
from tools.reference_times import take_times

RUN = ReferenceRun(0.5, {"train": 4, "render": 10}, {"train": 100.0, "render": 10.0})
MINI = {"calibration": 0.5, "jobs": {"train": 4, "render": 10}, "core_seconds": {"train": 100.0, "render": 10.0}}
SMOKE = {"calibration": 0.5, "jobs": {"train": 4}, "core_seconds": {"train": 5.0}}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that says how long a training step takes here, in the place of measuring, and what runs are known."""

    def set_to(answer: str, **runs: dict) -> None:
        (tmp_path / "times.json").write_text(json.dumps(runs))
        monkeypatch.setattr(forecast, "reference_runs", lambda: reference_runs(tmp_path / "times.json"))
        (tmp_path / "program").write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / "program").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "program"))

    return set_to


def test_seconds_follow_jobs_cores_and_speed() -> None:
    jobs = Counter(train=4, render=10)
    assert RUN.seconds(jobs, 1, 0.5) == pytest.approx(500)
    assert RUN.seconds(jobs, 2, 0.5) == pytest.approx(250)
    assert RUN.seconds(jobs, 2, 1.0) == pytest.approx(500)  # half as fast
    assert RUN.seconds(Counter(train=2), 64, 0.5) == pytest.approx(100)  # no less than the longest job
    assert RUN.seconds(Counter(train=2, mesh=2), 1, 0.5) == pytest.approx(400)  # as the others do
    assert RUN.seconds(Counter(train=1, mesh=2), 1, 0.5) is None


def test_one_line_with_the_smaller_setting(machine) -> None:
    machine("echo 0.25", mini=MINI, smoke=SMOKE)
    jobs = Counter(step_train=4, step_render=10, all=1)
    told = Forecast("mini").told(jobs, 2)
    assert told == "about 2m05s here, going by a finished run elsewhere (PRESET=smoke: 5s)"
    assert "PRESET" not in Forecast("smoke").told(Counter(step_train=4), 2)


def test_nothing_is_told_or_measured_without_a_run_to_go_by(machine) -> None:
    machine("touch measured; echo 0.25", mini=MINI)
    made = Forecast("night")
    assert made.process is None and made.told(Counter(step_train=4), 2) == ""
    assert not Path("measured").exists()


def test_a_measurement_that_fails_or_takes_too_long_is_done_without(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = "about 3m20s on the machine of a finished run"
    machine("exit 1", mini=MINI)
    assert Forecast("mini").told(Counter(step_train=4), 2) == theirs
    machine("exec sleep 60", mini=MINI)
    monkeypatch.setattr(forecast, "PATIENCE", 0.05)
    made = Forecast("mini")
    assert made.told(Counter(step_train=4), 2) == theirs
    assert made.process is not None and made.process.returncode != 0
    another = Forecast("mini")
    another.close()
    assert another.process is not None and another.process.returncode != 0


def test_times_are_taken_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_times, "step_seconds", lambda: 0.123456)
    results, path = tmp_path / "results", tmp_path / "times.json"
    path.write_text(json.dumps({"smoke": SMOKE}))
    results.mkdir()
    (results / "preset.json").write_text('{"preset": "mini"}')
    with pytest.raises(SystemExit, match="benchmarks: no times of jobs"):
        take_times(results, path)
    for name, seconds, worked in (
        ("train/a", 315, 90),
        ("train/b", 120, 87.5),
        ("mesh/a", 30, 15),
        ("prepare/hydrant", 7, "-"),
    ):
        file = results / f"benchmarks/{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:10\t1500.0\t{worked}\n")
    take_times(results, path)
    found = reference_runs(path)
    assert found["smoke"] == ReferenceRun(**SMOKE)
    assert found["mini"].calibration == 0.1235 and found["mini"].jobs == {"prepare": 1, "mesh": 1, "train": 2}
    assert found["mini"].core_seconds["train"] == 95.0, "what cores worked, not what the job waited for them"
    assert found["mini"].core_seconds["mesh"] == 30.0, "also after the fifteenth second, when Snakemake last looked"
    assert found["mini"].core_seconds["prepare"] in (7.0, 14.0)  # two threads, if there are two cores


def test_the_file_that_ships_is_of_steps_that_there_are() -> None:
    for run in reference_runs().values():
        assert set(run.core_seconds) == set(run.jobs) <= set(STEPS)
        assert run.calibration > 0 and all(seconds > 0 for seconds in run.core_seconds.values())
