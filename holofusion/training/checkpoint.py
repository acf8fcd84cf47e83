"""Save and load training state, so that a killed run continues bit for bit. No pickle.

`state/` lies beside the declared outputs, undeclared to the workflow, so that neither a failed job nor a rerun deletes it.
It stays when the run is finished: a job killed between its last write and the workflow's note of it loses nothing.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from holofusion.utils.files import UserError, reading, replacing

STATE = "state.safetensors"
ANEW = "delete it, and the training starts anew"


class Average:
    """Exponential moving average of a module's parameters; the decay ramps up so that early weights fade quickly."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        keep = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.weights.values()), [value.detach() for value in module.parameters()], 1 - keep)


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def stamp_of(*hashes: str) -> str:
    """One hash of a job's config hash and of its inputs' hashes: state is only ever resumed by the same job."""
    return hashlib.sha256("/".join(hashes).encode()).hexdigest()


def save_state(
    folder: Path,
    stamp: str,
    step: int,
    steps: int,
    seconds: float,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average | None = None,
) -> None:
    """Write weights, average, optimiser and step into one file of `folder`, replacing the previous one in one rename."""
    tensors = {f"module.{name}": value.detach() for name, value in module.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.weights.items()}
    tensors |= _optimiser_tensors(optimiser)
    facts = {"stamp": stamp, "step": str(step), "steps": str(steps), "seconds": repr(seconds)}
    with replacing(folder / STATE) as temporary:
        save_file({name: value.contiguous().clone() for name, value in tensors.items()}, temporary, facts)


def save_snapshot(folder: Path, step: int, seconds: float, average: Average) -> None:
    """Write the averaged weights after `step` steps to folder/<step>.safetensors; step 0 begins the folder anew."""
    if step == 0:
        shutil.rmtree(folder, ignore_errors=True)
    facts = {"step": str(step), "seconds": repr(seconds)}
    with replacing(folder / f"{step:08d}.safetensors") as temporary:
        save_file({name: value.contiguous().clone() for name, value in average.weights.items()}, temporary, facts)


def read_snapshots(folder: Path) -> list[tuple[int, float, Path]]:
    """(steps, seconds of training, file of averaged weights) of every snapshot in the folder, first to last."""
    snapshots = []
    for path in sorted(folder.glob("[0-9]*.safetensors")):
        with reading(path, "train again"), safe_open(path, "pt") as file:
            facts = file.metadata()
            snapshots.append((int(facts["step"]), float(facts["seconds"]), path))
    return snapshots


def read_facts(folder: Path) -> dict[str, str] | None:
    """Stamp, step, steps and seconds of a saved state; None where there is none."""
    if not (folder / STATE).exists():
        return None
    with reading(folder / STATE, ANEW), safe_open(folder / STATE, "pt") as file:
        facts = file.metadata()
        return {key: facts[key] for key in ("stamp", "step", "steps", "seconds")}


def load_state(
    folder: Path, stamp: str, module: nn.Module, optimiser: torch.optim.Optimizer, average: Average | None = None
) -> tuple[int, float]:
    """Restore what `save_state` wrote; return the number of finished steps and seconds, (0, 0.0) when there is no state.

    The state of a finished run of another config or other inputs is passed over: it is superseded. Raises UserError when
    such a run was not finished.
    """
    for leftover in folder.glob(f".{STATE}.*"):
        shutil.rmtree(leftover)
    saved = read_facts(folder)
    if saved is None:
        return 0, 0.0
    if saved["stamp"] != stamp:
        if saved["step"] == saved["steps"]:
            return 0, 0.0
        raise UserError(
            f"{folder}: unfinished state of another config or other inputs ({saved['stamp'][:12]}, now {stamp[:12]}); "
            "restore the settings, or delete this folder to start anew"
        )
    with reading(folder / STATE, ANEW):
        _restore(load_file(folder / STATE, device=str(next(module.parameters()).device)), module, optimiser, average)
        return int(saved["step"]), float(saved["seconds"])


def _restore(
    tensors: dict[str, Tensor], module: nn.Module, optimiser: torch.optim.Optimizer, average: Average | None
) -> None:
    module.load_state_dict({name: tensors[f"module.{name}"] for name in module.state_dict()})
    if average is not None:
        for name, weight in average.weights.items():
            weight.copy_(tensors[f"average.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".")
            # Adam counts its steps in a tensor on the CPU
            state.setdefault(int(index), {})[key] = value.cpu() if key == "step" else value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
