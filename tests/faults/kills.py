"""Kills a run again and again, and sees whether what it makes in the end is what an undisturbed run makes.

    python tests/faults/kills.py FOLDER [--kills 50] [--seed 0] [--minutes 60] [--methods holofusion,code_fusion,gaussian]

The workflow runs twice with the preset `smoke`: left alone in FOLDER/undisturbed, and in FOLDER/killed-0, where SIGKILL
ends the whole process group at moments drawn by the seed, after which the same command is given again. Every rule is hit
twice before any is hit a third time, and so is the time before the first of them. Pictures of the undisturbed run become a
row of pictures made elsewhere. FOLDER/kills.json tells the outcome, also of an unfinished campaign, which goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from holofusion.pipeline.photographs import PHOTOGRAPHS_FILE
from holofusion.pipeline.provenance import KEY, TIMES
from holofusion.utils.files import write_json

REPOSITORY = Path(__file__).parents[2]
COMPARED = "dataset data warmup reconstructions codes runs samples hypotheses views meshes metrics".split()
NOT_COMPARED = {"state", "provenance.json", "lock.json", "MODEL_CARD.md"}  # of a training at work; what tells times
COMMIT = (
    "git_commit"  # of the clone; it tells also whether anything there was edited since, such as the campaign's own page
)
EACH = 2  # kills of a rule before others are hit more often
BEFORE = "before any rule"  # the workflow looks at what there is, and notes its settings
START = (0.5, 4.0)  # seconds from the start of the workflow, of a kill then
WATCH = 0.2  # seconds between looks at the processes


@dataclass
class Outcome:
    """kills: so far. hits: by rule, how often it was at work when the group was killed. rules: that there are. rounds: runs
    finished in spite of that. compared: their files. differences: files not as they should be. failures: runs that ended
    with an error."""

    kills: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    rules: int = 0
    rounds: int = 0
    compared: int = 0
    differences: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Workflow:
    """The workflow in a folder of its own, with a copy of the settings."""

    def __init__(self, folder: Path, target: str, settings: Sequence[str]) -> None:
        self.folder, self.results = folder, folder / "results"
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.copy(REPOSITORY / "params.yaml", folder)
            for name in ("config", "workflow"):
                shutil.copytree(REPOSITORY / name, folder / name)
        self.command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nolock", target, "--config", *settings]

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, as the leader of a process group."""
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment = {name: value for name, value in os.environ.items() if name != "CO3DV2_DATASET_ROOT"}
        with (self.folder / "snakemake.log").open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=environment | threads | {"PYTHONPATH": str(REPOSITORY)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def seconds(self) -> dict[str, float]:
        """How long jobs of each rule took at most, as far as they are finished."""
        longest: dict[str, float] = {}
        for file in self.results.glob("benchmarks/**/*.tsv"):
            rule = file.relative_to(self.results / "benchmarks").parts[0]
            longest[rule] = max(longest.get(rule, 0.0), float(file.read_text().splitlines()[1].split("\t")[0]))
        return longest


def jobs_of(run: subprocess.Popen[bytes]) -> dict[int, str]:
    """The rule of every job at work, by process."""
    jobs = {}
    for process in family(run):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "holofusion" in words[:5] and "-m" in words[:4]:
            jobs[process.pid] = words[words.index("holofusion") + 1]
    return jobs


def family(run: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(run.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(run: subprocess.Popen[bytes]) -> None:
    """End the group, and what left it, at once."""
    others = family(run)
    os.killpg(run.pid, signal.SIGKILL)
    for process in others:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    run.wait()
    psutil.wait_procs(others, timeout=20)


def strike(workflow: Workflow, outcome: Outcome, longest: dict[str, float], seed: int, most: int) -> bool:
    """Start the workflow and kill it while a rule whose turn it is has been at work for a while. False: it ended first."""
    draw, log = random.Random(f"{seed}/{outcome.rounds}/{outcome.kills}"), workflow.folder / "snakemake.log"
    size = log.stat().st_size if log.exists() else 0
    spent = all(outcome.hits[rule] >= EACH for rule in longest)
    run, seen, begun = workflow.start(), set[int](), time.monotonic()
    early = outcome.kills < most and outcome.kills % 5 == 4 and outcome.hits[BEFORE] < EACH
    moment: tuple[int | None, float] | None = (None, begun + draw.uniform(*START)) if early else None
    try:
        while run.poll() is None:
            jobs = jobs_of(run)
            for pid in jobs.keys() - seen:
                seen.add(pid)
                wanted = outcome.hits[jobs[pid]] < EACH or (spent and draw.random() < 0.3)
                if moment is None and wanted and outcome.kills < most:
                    moment = (pid, time.monotonic() + draw.uniform(0.15, 0.85) * longest.get(jobs[pid], 8.0))
            if moment and moment[0] and moment[0] not in jobs:
                moment = None  # it was finished sooner
            if moment and time.monotonic() >= moment[1]:
                kill(run)
                outcome.kills += 1
                rules = set(jobs.values()) or {BEFORE if not seen else "between rules"}
                outcome.hits.update(rules)
                print(f"kill {outcome.kills}: {', '.join(sorted(rules))}", flush=True)
                return True
            time.sleep(WATCH)
    except BaseException:
        kill(run)
        raise
    if run.returncode:
        tail = log.read_bytes()[size:].decode(errors="replace")
        reason = next((line for line in tail.splitlines() if "rror" in line), "no reason given")
        outcome.failures.append(f"exit status {run.returncode} after {outcome.kills} kills: {reason}")
    return False


def campaign(
    folder: Path,
    kills: int,
    seed: int,
    seconds: float,
    target: str = "all",
    methods: Sequence[str] = ("holofusion", "code_fusion", "gaussian"),
) -> Outcome:
    """Run the workflow in `folder` undisturbed and killed, and compare. After `seconds` nothing is killed any more.

    A campaign that was stopped goes on, with the kills that its moments of the same seed are still to bring.
    """
    begun, outcome = time.monotonic(), earlier(folder)
    begun -= outcome.seconds
    settings = ["preset=smoke", f"methods=[{','.join(methods)}]"]
    undisturbed, failed = Workflow(folder / "undisturbed", target, settings), 0
    if target != "all" or not (undisturbed.folder / "pictures").exists():
        failed = left_alone(undisturbed)
    if not failed and target == "all":
        settings = ["preset=smoke", f"methods=[{','.join([*methods, 'external'])}]", "external={folder: pictures}"]
        undisturbed = Workflow(folder / "undisturbed", target, settings)
        made_elsewhere(undisturbed, undisturbed.results)
        failed = left_alone(undisturbed)
    if failed:
        outcome.failures.append(f"the undisturbed run failed: {undisturbed.folder}/snakemake.log")
        return outcome
    longest, end = undisturbed.seconds(), time.monotonic() + seconds
    outcome.rules = len(longest)
    while outcome.kills < kills and not outcome.failures and time.monotonic() < end:
        killed = Workflow(folder / f"killed-{outcome.rounds}", target, settings)
        if target == "all":
            made_elsewhere(killed, undisturbed.results)
        while strike(killed, outcome, longest, seed, kills if time.monotonic() < end else outcome.kills):
            save(folder, outcome, begun)
        compare(undisturbed.results, killed.results, outcome)
        outcome.rounds += 1
        save(folder, outcome, begun)
    return outcome


def left_alone(workflow: Workflow) -> int:
    """Run the workflow to its end; its exit status."""
    run = workflow.start()
    try:
        return run.wait()
    except BaseException:
        kill(run)
        raise


def made_elsewhere(workflow: Workflow, results: Path) -> None:
    """Give the workflow the pictures of the first finished row as those of a method that is not part of this program."""
    if not (workflow.folder / "pictures").exists():
        for row in sorted((results / "views").iterdir()):
            category = row.name.split("-")[1]
            folder = workflow.folder / "pictures" / category
            if not folder.exists():
                shutil.copytree(row / "0", folder)
                cameras = json.loads((folder / "cameras.json").read_text())
                write_json(
                    folder / "cameras.json", {key: cameras[key] for key in ("convention", "image_size", "scenes")}
                )


def earlier(folder: Path) -> Outcome:
    """The outcome so far of a campaign in this folder."""
    if not (folder / "kills.json").is_file():
        return Outcome()
    kept = json.loads((folder / "kills.json").read_text())
    return Outcome(**kept | {"hits": Counter(kept["hits"]), "failures": []})


def save(folder: Path, outcome: Outcome, begun: float) -> None:
    outcome.seconds = time.monotonic() - begun
    write_json(folder / "kills.json", vars(outcome) | {"hits": dict(outcome.hits)})


def compare(expected: Path, found: Path, outcome: Outcome) -> None:
    """Note which files of two results folders differ: bytes; of JSON the values, without times and provenance."""
    names = {name: set(files_of(folder)) for name, folder in (("expected", expected), ("found", found))}
    outcome.differences += [f"missing: {name}" for name in sorted(names["expected"] - names["found"])]
    outcome.differences += [f"too much: {name}" for name in sorted(names["found"] - names["expected"])]
    for name in sorted(names["expected"] & names["found"]):
        outcome.compared += 1
        if content(expected / name) != content(found / name):
            outcome.differences.append(f"differs: {name}")


def files_of(results: Path) -> Iterator[str]:
    for folder in COMPARED:
        for path in (results / folder).rglob("*"):
            name = path.relative_to(results)
            if path.is_file() and not NOT_COMPARED.intersection(name.parts):
                yield str(name)


def content(path: Path) -> object:
    if path.name == PHOTOGRAPHS_FILE:  # size, time and digest of each
        return {name: (size, digest) for name, (size, _, digest) in json.loads(path.read_text())["files"].items()}
    if path.suffix == ".safetensors":  # the length of a JSON header, the header, the numbers; snapshots tell their time
        content = path.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        return timeless(json.loads(content[8:end])), content[end:]
    if path.suffix == ".jsonl":
        return [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    return timeless(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()


def timeless(value: object) -> object:
    """The same JSON value without times and provenance, in which runs differ that are otherwise alike."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in {*TIMES, KEY, COMMIT}}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a run again and again, and compare what it makes in the end.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after that")
    parser.add_argument("--methods", default="holofusion,code_fusion,gaussian", help="rows of the table")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # the workflow, in a group of its own, must not outlive this
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    outcome = campaign(given.folder, given.kills, given.seed, given.minutes * 60, methods=given.methods.split(","))
    for line in [*outcome.failures, *outcome.differences]:
        print(line)
    sys.exit(bool(outcome.failures or outcome.differences))


if __name__ == "__main__":
    main()
