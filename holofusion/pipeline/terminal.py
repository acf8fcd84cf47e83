"""What a run shows while it is at work: one live line, a line per finished step, and of an error the line that matters.

A handler of Snakemake's log records, which name their event; what Snakemake says itself stays in its own log file.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size

from holofusion.pipeline.forecast import Forecast
from holofusion.pipeline.status import error_in, progress_in
from holofusion.pipeline.time_left import Pace, benchmark_of
from holofusion.utils.log_file import STATUS
from holofusion.utils.progress import duration, size

NOTHING = "Nothing to be done"
JOBS_OWN = "RuleException"
EVERY = {True: 0.5, False: 60.0}  # seconds between lines, on a terminal and elsewhere
SHOWN = 3  # running jobs that the live line names


@dataclass(frozen=True)
class RunningJob:
    """A job at work: its rule, what it is done for, its log and benchmark, and when it began."""

    rule: str
    subject: str
    log: Path | None
    benchmark: Path | None
    began: float

    @property
    def step(self) -> str:
        return self.rule.removeprefix("step_")

    def line(self) -> str:
        """The step, what it is done for, and how far it is."""
        return " ".join(filter(None, [self.step, self.subject, progress_in(self.log)]))


class RunDisplay(logging.Handler):
    """Shows a run on standard error. again: the command that goes on after a stop.

    preset: what a forecast goes by where no earlier run here tells how long this one takes; None: on a cluster nothing does.
    """

    def __init__(self, results: Path, log: Path | None, cores: int, again: str, preset: str | None = None) -> None:
        super().__init__(logging.INFO)
        self.log, self.cores, self.again = log, cores, again
        self.pace, self.began, self.stream = Pace(results), time.monotonic(), sys.stderr
        self.forecast = Forecast(preset) if preset is not None and not self.pace.known else None
        self.terminal = self.stream.isatty()
        self.jobs: Counter[str] = Counter()  # by rule: all, and those that are not finished
        self.unfinished: Counter[str] = Counter()
        self.running: dict[int, RunningJob] = {}
        self.steps: dict[str, float] = {}  # when the first job of a rule began
        self.memory: dict[str, float] = {}  # most of a job, MB, by rule
        self.failed: set[int] = set()
        self.live = False
        self.done = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of Snakemake's. Jobs of groups, as clusters may form, count when their records come."""
        event = str(getattr(record, "event", None) or "")
        if event == "run_info":
            self._begin(record)
        elif event == "job_info":
            self._start(record)
        elif event == "job_finished":
            self._finish(record)
        elif event == "job_error":
            self._fail(record)
        elif not event and NOTHING in str(record.msg):
            self._print("nothing to do: everything is made from the present settings and inputs")
        elif getattr(record, "exception", None) == JOBS_OWN:
            return  # the command of a job that failed; the job's own record follows
        elif record.levelno >= logging.ERROR and not self.failed and record.msg:
            self._print(str(record.getMessage()).strip())

    def _begin(self, record: logging.LogRecord) -> None:
        stats = {str(rule): int(count) for rule, count in record.__dict__["stats"].items() if str(rule) != "total"}
        self.jobs = Counter({rule: count for rule, count in stats.items() if rule.startswith("step_")})
        self.unfinished = Counter(self.jobs)
        steps = ", ".join(f"{rule.removeprefix('step_')} {count}" for rule, count in self.jobs.items())
        left = self._left()
        told = f"about {duration(left)}, going by earlier runs here" if left is not None else self._forecast()
        self._print(f"{self.jobs.total()} jobs{told and '; '}{told}: {steps}")
        if self.log is not None:
            self._print(f"Snakemake's own messages: {self.log} (VERBOSE=1 shows them here)")

    def _start(self, record: logging.LogRecord) -> None:
        job = record.__dict__
        log, benchmark = (
            Path(path) if path else None for path in (next(iter(job["log"] or []), None), job["benchmark"])
        )
        subject = log.with_suffix("").parts[log.parts.index("logs") + 2 :] if log and "logs" in log.parts else ()
        self.running[job["jobid"]] = RunningJob(job["rule_name"], "/".join(subject), log, benchmark, time.monotonic())
        self.steps.setdefault(job["rule_name"], time.monotonic())

    def _finish(self, record: logging.LogRecord) -> None:
        job = self.running.pop(record.__dict__["job_id"], None)
        if job is None or job.rule not in self.jobs:
            return
        measured = benchmark_of(job.benchmark) if job.benchmark else None
        self.pace.finished(job.rule, measured[0] if measured else time.monotonic() - job.began)
        if measured:
            self.memory[job.rule] = max(self.memory.get(job.rule, 0.0), measured[1])
        self.unfinished[job.rule] -= 1
        if self.unfinished[job.rule] == 0:
            count, seconds = self.jobs[job.rule], time.monotonic() - self.steps[job.rule]
            memory = f", {size(self.memory[job.rule] * 1e6)}" if job.rule in self.memory else ""
            self._print(f"{job.step}: {count} job{'s' * (count > 1)}, {duration(seconds)}{memory}")

    def _fail(self, record: logging.LogRecord) -> None:
        job = record.__dict__
        if job["jobid"] in self.failed:  # said again at the end
            return
        self.failed.add(job["jobid"])
        running = self.running.pop(job["jobid"], None)
        logs = [Path(path) for path in job["log"] or []]
        reason = next(filter(None, map(error_in, logs)), "ended without a message")
        subject = f" {running.subject}" if running and running.subject else ""
        self._print(f"{str(job['rule_name']).removeprefix('step_')}{subject} failed: {reason}")
        for log in logs:
            self._print(f"  its log: {log}")

    def _forecast(self) -> str:
        return self.forecast.told(self.jobs, self.cores) if self.forecast is not None else ""

    def _left(self) -> float | None:
        now, waiting = time.monotonic(), Counter(self.unfinished)
        running: dict[str, list[float]] = {}
        for job in list(self.running.values()):
            waiting[job.rule] -= 1
            running.setdefault(job.rule, []).append(now - job.began)
        return self.pace.left(+waiting, running, now - self.began, self.cores)

    def line(self) -> str:
        """How far the run is: jobs, what is at work, time left, and the most memory that a job has taken."""
        total, left = self.jobs.total(), self._left()
        parts = [f"{total - self.unfinished.total()} of {total} jobs"]
        jobs = [job for job in self.running.values() if job.rule in self.jobs]
        parts += [job.line() for job in jobs[:SHOWN]] + ([f"{len(jobs) - SHOWN} more"] if len(jobs) > SHOWN else [])
        parts += [f"about {duration(left)} left in all"] if left is not None else []
        parts += [f"{size(max(self.memory.values()) * 1e6)} at most"] if self.memory else []
        return "  |  ".join(parts)

    def _tick(self) -> None:
        while not self.done.wait(EVERY[self.terminal]):
            if self.jobs:
                self._show(self.line())

    def _show(self, line: str) -> None:
        """Rewrite the live line; without a terminal, print it."""
        self.acquire()  # as Handler.handle does around emit
        try:
            if self.terminal:
                line = f"{STATUS}{line[: get_terminal_size().columns - 1]}"
            print(line, end="" if self.terminal else "\n", file=self.stream, flush=True)
            self.live = self.terminal
        finally:
            self.release()

    def _print(self, line: str) -> None:
        """Print a line that stays."""
        print(f"{STATUS if self.live else ''}{line}", file=self.stream, flush=True)
        self.live = False

    def close(self) -> None:
        """Snakemake has come to its end, or was stopped: say how far it got."""
        if self.forecast is not None:
            self.forecast.close()
        if not self.done.is_set():
            self.done.set()
            left = self.unfinished.total()
            if self.jobs and not left:
                memory = f", at most {size(max(self.memory.values()) * 1e6)} each" if self.memory else ""
                self._print(f"{self.jobs.total()} jobs in {duration(time.monotonic() - self.began)}{memory}")
            elif self.jobs:
                self._print(f"{left} of {self.jobs.total()} jobs are left; this goes on: {self.again}")
        super().close()


def show_run(logger: logging.Logger, results: Path, cores: int, again: str, preset: str | None = None) -> None:
    """Put the display in place of what Snakemake prints. Its log file stays as it is."""
    files = [each for each in logger.handlers if isinstance(each, logging.FileHandler)]
    for handler in [each for each in logger.handlers if each not in files]:
        logger.removeHandler(handler)
    log = Path(files[0].baseFilename) if files else None
    logger.addHandler(RunDisplay(results, log, cores, again, preset))
