"""The training loop: one for the warm-up and for every method trained by gradient descent on one loss."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from holofusion.data.batches import draw_batch
from holofusion.data.prepared import PreparedCategory
from holofusion.training.base import Trainable
from holofusion.training.checkpoint import Average, load_state, save_snapshot, save_state
from holofusion.training.parallel import Group, share_of
from holofusion.utils.files import UserError, reading, replacing
from holofusion.utils.progress import Progress, say
from holofusion.utils.random import generator_for
from holofusion.utils.signals import Stopped, stop_requests


def rate_at(step: int, steps: int, ramp: int = 50) -> float:
    """Learning-rate factor: a short linear ramp, then a cosine down to 2 % at the end of the run."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / ramp) * (0.02 + 0.98 * cosine)


@dataclass(frozen=True)
class TrainingRun:
    """One training: its data and folder, and the processes that share it.

    seed: of the training; what step n draws comes from it and n alone. micro_batches: parts of every step's batch. stamp:
    names config and inputs; saved state is only resumed by the same. check: raises UserError once the folder is no longer
    this job's to write.
    """

    seed: int
    micro_batches: int
    data: PreparedCategory
    out: Path
    stamp: str
    group: Group
    check: Callable[[], None]


def fit(method: Trainable, job: TrainingRun, label: str, snapshots: tuple[float, ...] = ()) -> tuple[Average, float]:
    """Run `method.training_step` for `method.steps` steps, resuming from out/state; return averaged weights and seconds spent.

    Step n's batches and noise come from the seed and n alone, so a resumed run repeats an uninterrupted one bit for bit.
    `snapshots`: shares of the run after which the averaged weights are also kept in out/snapshots.
    Every tenth step is one JSON line of out/log.jsonl. Raises UserError when the loss is not finite, and Stopped, with the
    state saved, after a signal that asks for it.
    """
    optimiser = torch.optim.Adam(method.parameter_groups(), betas=(0.9, 0.99))
    base_rates = [group["lr"] for group in optimiser.param_groups]
    average, steps, leader = Average(method, method.ema), method.steps, job.group.rank == 0
    done, seconds = load_state(job.out / "state", job.stamp, method, optimiser, average)
    job.group.wait()  # until all have read it
    kept_after = {round(share * steps) for share in snapshots}
    began = time.monotonic() - seconds

    def save(step: int) -> None:
        job.check()
        save_state(job.out / "state", job.stamp, step, steps, time.monotonic() - began, method, optimiser, average)

    with (
        TrainingLog(job.out / "log.jsonl", label, done, steps) if leader else nullcontext() as log,
        stop_requests() as asked,
    ):
        for step in range(done, steps):
            if leader and step in kept_after:
                save_snapshot(job.out / "snapshots", step, time.monotonic() - began, average)
            for group, rate in zip(optimiser.param_groups, base_rates, strict=True):
                group["lr"] = rate * rate_at(step, steps)
            optimiser.zero_grad(set_to_none=True)
            names, totals = _gradients(method, job, label, step, asked)
            norm = torch.nn.utils.clip_grad_norm_(method.parameters(), method.gradient_limit)
            # all that the host wants to know of the step, at once: a GPU is waited for
            *means, anywhere, norm = torch.cat([totals, norm.detach()[None]]).tolist()
            values = dict(zip(names, means, strict=True))
            stopping = (asked() or signal.SIGTERM) if anywhere else 0
            if not (math.isfinite(values["loss"]) and math.isfinite(norm)):
                raise UserError(f"{job.out}: loss or gradient is not finite at step {step}; lower the learning rate")
            optimiser.step()
            average.update(method, step)
            ended, due = step + 1 == steps, (step + 1) % method.checkpoint_every == 0
            if log is not None:
                log.add(step + 1, time.monotonic() - began, values)
                if due or ended or stopping:
                    save(step + 1)
            if stopping and not ended:
                raise Stopped(f"{job.out}: asked to stop; state saved after step {step + 1} of {steps}", stopping)
    return average, time.monotonic() - began


def _gradients(
    method: Trainable, job: TrainingRun, label: str, step: int, asked: Callable[[], int]
) -> tuple[list[str], Tensor]:
    """Leave the gradient of the mean loss over the step's micro-batches.

    Returns the losses' names; and their means, and whether any process is to stop, as one tensor (losses + 1,).
    """
    parts = job.micro_batches
    totals = torch.zeros(0)
    for part in share_of(parts, job.group.rank, job.group.size):
        generator = generator_for(job.seed, label, step, *([part] if parts > 1 else []))
        batch = draw_batch(job.data, method.objects_per_batch, method.views_per_object, generator, job.group.device)
        losses = method.training_step(batch, step, generator)
        (losses["loss"] / parts).backward()
        values = torch.stack([value.detach().float() for value in losses.values()]) / parts
        totals = values if len(totals) == 0 else totals + values
    job.group.add_gradients(method)
    signals = torch.full((1,), float(asked()), device=totals.device)
    return list(losses), job.group.total(torch.cat([totals, signals]))


class TrainingLog:
    """What a training says of itself: every tenth step a JSON line in the file `path`, and progress on the terminal.

    Lines of steps after `done`, which will be run again, are dropped from the file.
    """

    def __init__(self, path: Path, label: str, done: int, steps: int) -> None:
        self.steps, self.progress = steps, Progress(label, steps, start=done)
        self.smooth: dict[str, float] = {}
        if done:
            say(f"{label}: going on from step {done}")
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if done and path.exists():
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            with reading(path, "delete it: the losses so far are lost, and nothing else"):
                kept = [line for line in lines if json.loads(line)["step"] <= done]
        with replacing(path) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept))
        self.file = path.open("a")

    def __enter__(self) -> Self:
        return self

    def add(self, step: int, seconds: float, values: dict[str, float]) -> None:
        """Note the losses of the step that brought the number of finished ones to `step`, after so many seconds."""
        for name, value in values.items():
            self.smooth[name] = value if name not in self.smooth else 0.95 * self.smooth[name] + 0.05 * value
        self.progress.advance("  ".join(f"{name} {value:.4f}" for name, value in self.smooth.items()))
        if step % 10 == 0 or step == self.steps:
            self.file.write(json.dumps({"step": step, "seconds": round(seconds, 2), **values}) + "\n")
            self.file.flush()

    def __exit__(self, *_: object) -> None:
        self.file.close()


def averaged_tensors(method: nn.Module, average: Average) -> dict[str, Tensor]:
    """The module's state with averaged parameters in place of the last ones; buffers as they are."""
    return {**method.state_dict(), **average.weights}
