"""Write a training's result: model.safetensors, and model.json with the class, settings and history of the weights."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from holofusion.training.base import Trainable
from holofusion.utils.files import replacing, write_json
from holofusion.utils.precision import resolve_precision


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


def save_model(
    out: Path,
    module: Trainable,
    tensors: dict[str, Tensor],
    precision: str,
    seconds: float,
    facts: Mapping[str, object],
) -> None:
    """Write model.json and, last, model.safetensors: the trained `tensors`, and what they are.

    facts: what the run is called, and `settings`, the sections of params.yaml that the module is built from, as plain
    values; both are part of model.json.
    """
    device, kind = next(iter(module.state_dict().values())).device, type(module)
    parameters = {name: sum(value.numel() for value in child.parameters()) for name, child in module.named_children()}
    content = {
        **facts,
        "model": f"{kind.__module__}:{kind.__qualname__}",
        "steps": module.steps,
        "images": module.steps and module.steps * module.objects_per_batch * module.views_per_object,
        "seconds": round(seconds, 1),
        "parameters": {name: count for name, count in parameters.items() if count},
        "device": machine(device),
        "precision": resolve_precision(device, precision),
        "versions": {name: version(name) for name in ("torch", "safetensors", "numpy")},
        "git_commit": git_commit(),
    }
    write_json(out / "model.json", content)
    with replacing(out / "model.safetensors") as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary)
