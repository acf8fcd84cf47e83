"""On a SLURM cluster: whole runs up to the page, and trainings that are cut off in every way a cluster knows.

They all run at once, since each mostly waits.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from holofusion.pipeline.steps import STEPS as all_steps
from holofusion.utils.files import read_json
from tests.workflow.cluster import Cluster
from tests.workflow.slurm_runs import HERE, REPOSITORY, SNAKEMAKE, TRAINING, Run, project_in, write_profile
from tests.workflow.standin import shell_stand_in, stand_in

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]
WEIGHTS = f"{TRAINING}/model.safetensors"
STEPS = 60
HOLOFUSION = (sys.executable, "-P", "-m", "holofusion")
WITH_NETWORKS = {step.name for step in all_steps.values() if step.gpu}


def whole(run: Run) -> None:
    write_profile(run.folder)
    run.start("all")
    run.finish(1500)


def cancelled(run: Run) -> None:
    write_profile(run.folder, slurm_partition="calm")
    run.start(WEIGHTS)
    job, _ = run.until_training()
    run.cluster.command("scancel", job)
    run.finish()
    assert run.shown(job, "JobState") == "CANCELLED"
    assert run.shown(job, "TresPerJob") == "gres:gpu:1"


def preempted(run: Run) -> None:
    write_profile(run.folder, slurm_partition="preemptible")
    run.start(WEIGHTS)
    job, _ = run.until_training()
    run.cluster.command("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    run.until(lambda: run.shown(job, "JobState") == "PENDING")
    run.cluster.command("scontrol", "update", f"JobId={job}", "StartTime=now")  # or it is held back for two minutes
    run.finish()
    assert [each for each, _ in run.turns()] == [job, job], "queued again by SLURM, not submitted again"


def timed_out(run: Run) -> None:
    write_profile(run.folder, slurm_partition="calm", runtime="attempt", slurm_extra="")
    run.start(WEIGHTS)
    job, training = run.until_training()
    training.send_signal(signal.SIGSTOP)  # SLURM wakes it when its time is over, and ends it
    run.finish()
    again = run.steps()[-1]["job"]
    assert run.shown(job, "JobState") == "TIMEOUT"
    for key in ("TimeLimit", "MinMemoryNode"):
        assert run.shown(job, key) < run.shown(again, key)


def warned(run: Run) -> None:
    write_profile(run.folder, slurm_partition="calm")
    run.edit(run.folder, "config/smoke.yaml", **{"sds.checkpoint_every": 2 * STEPS})
    run.start(WEIGHTS)
    job, training = run.until_training()
    training.send_signal(
        signal.SIGSTOP
    )  # until it is woken and warned; SLURM may take half a minute to see that time is short
    run.cluster.command("scontrol", "update", f"JobId={job}", "TimeLimit=2")
    run.finish()
    (_, before), (_, after) = run.turns()
    assert run.shown(job, "JobState") == "FAILED", "before its time was over"
    assert before + after == STEPS, "it went on from the step at which it was warned"


def lost(run: Run) -> None:
    write_profile(run.folder, slurm_partition="frail")
    run.start(WEIGHTS)
    job, training = run.until_training()
    training.send_signal(signal.SIGSTOP)
    run.cluster.daemons["n3"].send_signal(signal.SIGSTOP)  # out of the controller's sight, the job lives on
    run.cluster.command("scontrol", "update", "NodeName=n3", "State=DOWN", "Reason=test")
    run.until(lambda: run.shown(job, "JobState") == "PENDING")
    run.cluster.command("scontrol", "update", f"JobId={job}", "StartTime=now")
    run.until(run.waits_for_lock)
    run.kill_node("n3")
    run.finish()
    run.cluster.daemons["n3"].send_signal(signal.SIGCONT)
    assert [each for each, _ in run.turns()] == [job, job]


def orphaned(run: Run) -> None:
    write_profile(run.folder, slurm_partition="calm")
    run.start(WEIGHTS)
    job, training = run.until_training()
    training.send_signal(signal.SIGSTOP)
    run.process.kill()
    run.process.wait()
    subprocess.run(
        [*SNAKEMAKE, "--unlock", "--config", "preset=smoke"], cwd=run.folder, env=run.environment, check=True
    )
    run.start(WEIGHTS)
    run.until(run.waits_for_lock)
    time.sleep(10)  # for one that does not really wait to give itself away
    assert read_json(run.folder / TRAINING / "lock.json")["pid"] == training.pid
    training.send_signal(signal.SIGCONT)
    run.finish()
    assert run.turns() == [(job, STEPS)], "the job that was submitted again found everything done"


CUT_OFF = (cancelled, preempted, timed_out, warned, lost, orphaned)


@pytest.fixture(scope="module")
def traced(cluster: Cluster) -> Path:
    """What runs the program as traced.py does: trainings are slow, and note every step."""
    return stand_in(cluster.folder / "traced", (HERE / "traced.py").read_text())


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, traced: Path, edit: Callable[..., None]) -> Path:
    """A project in which one small training ran to its end, without the cluster."""
    run = Run(cluster, project_in(cluster.folder / "undisturbed"), traced, edit)
    edit(run.folder, methods=["sds"])
    edit(run.folder, "config/smoke.yaml", **{"sds.steps": STEPS, "sds.checkpoint_every": 5})
    subprocess.run([*SNAKEMAKE, WEIGHTS, "--config", "preset=smoke"], cwd=run.folder, env=run.environment, check=True)
    return run.folder


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, cluster: Cluster, traced: Path, undisturbed: Path, edit: Callable[..., None]
) -> Iterator[dict[str, Future[Run]]]:
    """What became of each run that the chosen tests ask for, once it has ended."""
    here = [test for test in request.session.items if test.module is request.module and hasattr(test, "callspec")]
    chosen = {test.callspec.params["name"] for test in here}
    note = 'echo "$1 ${CUDA_VISIBLE_DEVICES:-none} ${SLURM_ARRAY_TASK_ID:-none}" >>jobs.txt'
    noting = shell_stand_in(cluster.folder / "noting", f'{note}\nexec bash "{HERE / "stub.sh"}" "$@"')
    every_step = Run(cluster, project_in(cluster.folder / "every_step"), noting, edit)
    rows = ["holofusion", "code_fusion", "code_fusion_mse", "gaussian"]  # together they need every step
    edit(every_step.folder, methods=rows)
    one_row = Run(cluster, project_in(cluster.folder / "one_row"), REPOSITORY, edit)
    edit(one_row.folder, methods=["holodiffusion"])
    edit(one_row.folder, "config/smoke.yaml", **{"sampling.shards": 2, "evaluation.other_category": None})
    planned = {"every_step": (whole, every_step), "one_row": (whole, one_row)}
    for story in CUT_OFF:
        folder = cluster.folder / story.__name__
        shutil.copytree(undisturbed, folder)
        shutil.rmtree(folder / TRAINING)
        (folder / "steps.jsonl").unlink()
        planned[story.__name__] = (story, Run(cluster, folder, traced, edit))

    def follow(story: Callable[[Run], None], run: Run) -> Run:
        story(run)
        return run

    with ThreadPoolExecutor(len(planned)) as pool:
        yield {name: pool.submit(follow, *plan) for name, plan in planned.items() if name in chosen}


@pytest.mark.parametrize("name", [story.__name__ for story in CUT_OFF])
def test_a_training_that_is(name: str, runs: dict[str, Future[Run]], undisturbed: Path) -> None:
    run = runs[name].result()
    assert (run.folder / WEIGHTS).read_bytes() == (undisturbed / WEIGHTS).read_bytes()
    processes = [step["pid"] for step in run.steps()]
    assert len(run.turns()) == len(set(processes)), "no two processes ever trained at the same time"
    assert len(processes) < 2 * STEPS, "what was done was not done again"
    assert not (run.folder / TRAINING / "lock.json").exists()


@pytest.mark.parametrize("name", ["every_step"])
def test_a_whole_run_asks_for_gpus_where_there_are_networks(name: str, runs: dict[str, Future[Run]]) -> None:
    run = runs[name].result()
    assert (run.folder / "results/report.html").exists()
    jobs = [line.split() for line in (run.folder / "jobs.txt").read_text().splitlines()]
    assert {verb for verb, gpu, _ in jobs if gpu != "none"} == WITH_NETWORKS
    made = {"dataset", "prepare", "reconstruct", "geometry_floor", "memorisation", "report"}
    assert {verb for verb, gpu, _ in jobs if gpu == "none"} == made
    assert {verb for verb, _, task in jobs if task != "none"} == {"sample"}, "shards of several rows make a job array"


@pytest.mark.parametrize("name", ["one_row"])
def test_a_small_run_ends_with_its_page(name: str, runs: dict[str, Future[Run]]) -> None:
    run = runs[name].result()
    assert "HoloDiffusion" in (run.folder / "results/report.html").read_text()
    assert "Submitted array job" in run.messages(), "as the plugin says it; the terminal is quiet"


def test_two_nodes_train_like_one_process(cluster: Cluster, undisturbed: Path, edit: Callable[..., None]) -> None:
    folder, losses = cluster.folder / "two_nodes", []
    shutil.copytree(undisturbed, folder)
    run = Run(cluster, folder, REPOSITORY, edit)
    edit(folder, "config/smoke.yaml", **{"parallel": {"micro_batches": 2}})
    subprocess.run([*HOLOFUSION, "resolve", "--preset", "smoke"], cwd=folder, env=run.environment, check=True)
    train = f"exec {' '.join(HOLOFUSION)} train --config results/config/train/sds-hydrant-s0.yaml --data results/data/hydrant"
    for name, processes_and_nodes in (("one", ""), ("two", "--processes 2 --nodes 2")):
        (folder / "job.sh").write_text(f"#!/bin/sh\n{train} --out {name} --log {name}.log {processes_and_nodes}\n")
        submit = ["sbatch", "--wait", "--partition=wide", "--nodes=2", "--ntasks-per-node=1", "job.sh"]
        subprocess.run(submit, cwd=folder, env=run.environment, check=True, timeout=400)
        losses.append([json.loads(line)["loss"] for line in (folder / name / "log.jsonl").read_text().splitlines()])
    assert "training in 2 processes" in (folder / "two.log").read_text()
    assert losses[0] == pytest.approx(losses[1], abs=1e-4) and len(losses[0]) == STEPS / 10
