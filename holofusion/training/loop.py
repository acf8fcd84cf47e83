"""The training loop: one for the warm-up and for every method trained by gradient descent on one loss."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from holofusion.data.views import PreparedCategory
from holofusion.files import UserError, replacing, write_json
from holofusion.logs import Progress, say
from holofusion.seeds import generator_for
from holofusion.training.batches import draw_batch
from holofusion.training.checkpoint import Average, load_state, save_snapshot, save_state
from holofusion.training.precision import resolve_precision


def rate_at(step: int, steps: int, ramp: int = 50) -> float:
    """Learning-rate factor: a short linear ramp, then a cosine down to 2 % at the end of the run."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / ramp) * (0.02 + 0.98 * cosine)


def fit(
    method: nn.Module,
    data: PreparedCategory,
    seed: int,
    stamp: str,
    out: Path,
    steps: int,
    ema: float,
    checkpoint_every: int,
    label: str,
    snapshots: tuple[float, ...] = (),
) -> tuple[Average, float]:
    """Run `method.training_step` up to `steps`, resuming from out/state; return averaged weights and seconds spent.

    `stamp` names the job: config and inputs. Step n's batch and noise come from the seed and n alone, so a resumed run
    repeats an uninterrupted one bit for bit. `snapshots`: shares of the run after which the averaged weights are also
    kept in out/snapshots.
    Every logged step is one JSON line of out/log.jsonl. Raises UserError when the loss is not finite.
    """
    device = next(method.parameters()).device
    optimiser = torch.optim.Adam(method.parameter_groups(), betas=(0.9, 0.99))
    limit = getattr(method, "gradient_limit", 1.0)
    base_rates = [group["lr"] for group in optimiser.param_groups]
    average = Average(method, ema)
    done, seconds = load_state(out / "state", stamp, method, optimiser, average)
    log = _open_log(out / "log.jsonl", done)
    kept_after = {round(share * steps) for share in snapshots}
    if done:
        say(f"{label}: going on from step {done}")
    progress = Progress(label, steps, start=done)
    began = time.monotonic() - seconds
    smooth: dict[str, float] = {}
    for step in range(done, steps):
        if step in kept_after:
            save_snapshot(out / "snapshots", step, time.monotonic() - began, average)
        for group, rate in zip(optimiser.param_groups, base_rates, strict=True):
            group["lr"] = rate * rate_at(step, steps)
        generator = generator_for(seed, label, step)
        batch = draw_batch(data, method.objects_per_batch, method.views_per_object, generator, device)
        losses = method.training_step(batch, step, generator)
        optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(method.parameters(), limit)
        values = {name: float(value.detach()) for name, value in losses.items()}
        if not (math.isfinite(values["loss"]) and math.isfinite(float(norm))):
            raise UserError(f"{out}: loss or gradient is not finite at step {step}; lower the learning rate")
        optimiser.step()
        average.update(method, step)
        for name, value in values.items():
            smooth[name] = value if name not in smooth else 0.95 * smooth[name] + 0.05 * value
        progress.advance("  ".join(f"{name} {value:.4f}" for name, value in smooth.items()))
        if (step + 1) % 10 == 0 or step + 1 == steps:
            log.write(json.dumps({"step": step + 1, "seconds": round(time.monotonic() - began, 2), **values}) + "\n")
            log.flush()
        if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
            save_state(out / "state", stamp, step + 1, steps, time.monotonic() - began, method, optimiser, average)
    log.close()
    return average, time.monotonic() - began


def _open_log(path: Path, done: int):
    """Open the log for appending after dropping lines of steps that will be run again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = []
    if done and path.exists():
        lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
        kept = [line for line in lines if json.loads(line)["step"] <= done]
    with replacing(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept))
    return path.open("a")


def git_commit() -> str | None:
    """The commit of the code, with `+` when the tree has changes; None outside a repository."""

    def run(*arguments: str) -> str:
        folder = Path(__file__).parent
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return run("rev-parse", "HEAD") + ("+" if run("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def machine(device: torch.device) -> str:
    """The device in words, for the report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} of {os.cpu_count()} threads"


def save_model(out: Path, tensors: dict[str, Tensor], resolved, steps: int, seconds: float, module: nn.Module) -> None:
    """Write model.json and, last, model.safetensors."""
    device = next(iter(module.state_dict().values())).device
    parameters = {name: sum(value.numel() for value in child.parameters()) for name, child in module.named_children()}
    write_json(out / "model.json", {
        "method": resolved.method, "category": resolved.category, "seed": resolved.seed, "config_hash": resolved.hash,
        "steps": steps, "images": steps and steps * module.objects_per_batch * module.views_per_object,
        "seconds": round(seconds, 1), "parameters": {k: v for k, v in parameters.items() if v},
        "device": machine(device), "precision": resolve_precision(device, resolved.settings.volume.precision),
        "versions": {name: version(name) for name in ("torch", "safetensors", "numpy")},
        "git_commit": git_commit(),
    })  # fmt: skip
    with replacing(out / "model.safetensors") as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary)


def averaged_tensors(method: nn.Module, average: Average) -> dict[str, Tensor]:
    """The module's state with averaged parameters in place of the last ones; buffers as they are."""
    return {**method.state_dict(), **average.weights}
