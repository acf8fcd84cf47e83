"""Progress of a run, from its results folder, its logs, and SLURM where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from holofusion.pipeline.job import Resolved
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.runs import read_name
from holofusion.pipeline.steps import STEPS, Step
from holofusion.utils.files import UserError

QUIET = 120.0  # seconds without a line after which a log is of a job that has ended; progress comes every 20
PROGRESS = re.compile(r"(?P<done>\d+)/(?P<total>\d+)\s+[\d.]+/s\s+(?P<left>\S+) left")
STATES = ("done", "running", "waiting", "failed")


@dataclass(frozen=True)
class Task:
    """One job of a run. state: one of STATES. note: steps, time left and node while it runs, or its last error."""

    step: str
    name: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class QueuedJob:
    """A job in SLURM's queue: id, state in words, node if it has one, and the rule and wildcards it is for."""

    number: str
    state: str
    node: str
    comment: str


def tasks_of(results: Path) -> list[Task]:
    """Every job that the present settings ask for, in the order of the steps. Raises UserError for no results folder."""
    if not (results / "config").is_dir():
        raise UserError(f"{results}: no results (expected {results}/config)")
    queue, shards, tasks = queued(), _shards(results), []
    for step in STEPS.values():
        for config in sorted((results / "config" / step.name).glob("*.yaml")):
            resolved = load_step(config)
            for shard in range(shards if step.sharded else 1):
                path = step.path(results, resolved.name, shard)
                name = f"{resolved.name}/{shard}" if step.sharded and shards > 1 else resolved.name
                done = step.finished(path)
                tasks.append(
                    Task(step.name, name, "done")
                    if done
                    else _unfinished(results, step, resolved, shard, name, path, queue)
                )
    return tasks


def _unfinished(
    results: Path, step: Step, resolved: Resolved, shard: int, name: str, path: Path, queue: list[QueuedJob]
) -> Task:
    log = step.trace_of(results / "logs", resolved.name, shard, ".log")
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    job = next((job for job in queue if job.comment == _comment(step, resolved.name, shard)), None)
    fresh = bool(lines) and time.time() - log.stat().st_mtime < QUIET
    failed = _error(lines)
    if (job and job.state == "RUNNING") or (not job and fresh and not failed):
        return Task(resolved.step, name, "running", ", ".join(filter(None, [_progress(lines), _place(path, job)])))
    if job:
        return Task(resolved.step, name, "waiting", f"job {job.number}, {job.state.lower()}")
    if failed:
        return Task(resolved.step, name, "failed", f"{failed}  ({log})")
    return Task(resolved.step, name, "waiting", f"stopped; {_progress(lines)}" if lines and _progress(lines) else "")


def _error(lines: list[str]) -> str | None:
    return next(
        (line for line in reversed(lines) if line.startswith("error:") or re.match(r"\w*(Error|Exception)\b", line)),
        None,
    )


def error_in(log: Path) -> str | None:
    """The last error in a job's log; None where there is none, or no log."""
    return _error(log.read_text(errors="replace").splitlines()) if log.is_file() else None


def progress_in(log: Path | None) -> str:
    """How far the job of a log is: `120 of 400, 2m left`; empty where it does not say."""
    try:
        return _progress(log.read_text(errors="replace").splitlines()) if log else ""
    except OSError:  # not begun yet
        return ""


def _progress(lines: list[str]) -> str:
    for line in reversed(lines):
        if match := PROGRESS.search(line):
            return f"{match['done']} of {match['total']}, {match['left']} left"
    return ""


def _place(path: Path, job: QueuedJob | None) -> str:
    """Where a job runs: from SLURM, or for a training from its lock."""
    if job:
        return f"{job.node} (job {job.number})"
    try:
        owner = json.loads((path / "lock.json").read_text())
    except (OSError, ValueError):
        return ""
    return f"{owner['host']} (process {owner['pid']})"


def queued() -> list[QueuedJob]:
    """This user's jobs in SLURM; empty where there is no SLURM, or none that answers."""
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--me", "--noheader", "--format=%i|%T|%N|%k"]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [QueuedJob(*line.split("|", 3)) for line in printed.splitlines() if line.count("|") >= 3]


def _comment(step: Step, name: str, shard: int) -> str:
    """What Snakemake's SLURM executor writes beside a job: the rule, and its wildcards in order.

    Of a job array it is that of the first; the others are told from their logs alone.
    """
    values = [*(read_name(step.scope.pattern, name) or {}).values(), *([str(shard)] if step.sharded else [])]
    return "_".join([f"rule_{step.rule}", *(["wildcards", *values] if values else [])])


def _shards(results: Path) -> int:
    for config in (results / "config" / "sample").glob("*.yaml"):
        return load_step(config).settings.sampling.shards
    return 1


def table(tasks: list[Task]) -> str:
    """A line per step with the number of its jobs in each state; below, what runs and what has failed."""
    counts = Counter((task.step, task.state) for task in tasks)
    lines = ["{:12}{:>8}{:>9}{:>9}{:>8}".format("step", *STATES)]
    for step in dict.fromkeys(task.step for task in tasks):
        lines.append("{:12}{:>8}{:>9}{:>9}{:>8}".format(step, *(counts[step, state] or "" for state in STATES)))
    lines.append(
        "{:12}{:>8}{:>9}{:>9}{:>8}".format("all", *(sum(task.state == state for task in tasks) for state in STATES))
    )
    for state in ("running", "failed"):
        for task in tasks:
            if task.state == state:
                lines.append(f"{state}: {task.step} {task.name}  {task.note}".rstrip())
    stopped = [task for task in tasks if task.state == "waiting" and task.note]
    return "\n".join([*lines, *(f"waiting: {task.step} {task.name}  {task.note}" for task in stopped)])
