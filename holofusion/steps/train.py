"""The two training steps of the pipeline, from files to files: the warm-up, and a method's training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file

from holofusion.config.steps import TrainSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.methods.holofusion import HoloFusion
from holofusion.methods.refinement import refine
from holofusion.pipeline.job import Job, Resolved
from holofusion.pipeline.registry import method_class, needs_warmup
from holofusion.training.checkpoint import stamp_of
from holofusion.training.loop import Job as Training
from holofusion.training.loop import averaged_tensors, fit, save_model
from holofusion.training.parallel import Group, joined
from holofusion.utils.files import UserError, sha256_of
from holofusion.utils.locks import owned
from holofusion.utils.precision import resolve_precision
from holofusion.utils.random import generator_for

# Shares of a training after which its weights are kept, for the curve of kernel distance against training time.
SNAPSHOTS = (0.0, 0.1, 0.25, 0.5, 0.75)


def build(factory, settings, device: torch.device, *seed_parts: object) -> torch.nn.Module:
    """A module with weights drawn from a seed of its own; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(*seed_parts, "weights").initial_seed())
        return factory(settings).to(device)


def data_hash(data: PreparedCategory) -> str:
    """Hash of what identifies prepared data: cameras, frames, normalisation and split. Pixels are too many to read."""
    return sha256_of(*(data.folder / name for name in ("data.json", "split.json", "cameras.safetensors")))


@contextmanager
def _sole_training(out: Path, device: torch.device) -> Iterator[tuple[Group, Callable[[], None]]]:
    """The processes of this training, and its hold on the folder `out`, which no other training has at the same time."""
    with joined(device) as group:
        with owned(out / "lock.json") if group.rank == 0 else nullcontext(lambda: None) as check:
            group.wait()
            yield group, check


def run_warmup(resolved: Resolved, data_folder: Path, out: Path, device: torch.device) -> None:
    """Train encoder, pooling head and decoder without noise; save them and the refined grids of all training objects."""
    settings, data = resolved.settings, PreparedCategory.load(data_folder)
    stamp = stamp_of(resolved.hash, resolve_precision(device, settings.volume.precision), data_hash(data))
    with _sole_training(out, device) as (group, check):
        method = build(VoxelAutoencoder, settings, group.device, resolved.seed, "warmup")
        average, seconds = fit(method, Training(resolved, data, out, stamp, group, check), "warmup")
        if group.rank:
            return
        method.load_state_dict(averaged_tensors(method, average))
        began = time.monotonic()
        grids = refine(
            method.encode_objects(data, data.train, group.device), method.decoder, data, settings, resolved.seed
        )
        seconds += time.monotonic() - began
        save_model(out, {**method.state_dict(), "grids": grids}, resolved, method.steps, seconds, method)


def run_train(
    resolved: Resolved, data_folder: Path, warmup_folder: Path | None, out: Path, device: torch.device
) -> None:
    """Train the method of `resolved`: by itself, or, for those of HoloFusion's family, on the warm-up's grids.

    Raises UserError when such a one is given no warm-up.
    """
    settings, data = resolved.settings, PreparedCategory.load(data_folder)
    hashes = [resolved.hash, resolve_precision(device, settings.volume.precision), data_hash(data)]
    if needs_warmup(resolved.method):
        if warmup_folder is None:
            raise UserError(f"--warmup: {resolved.method} trains on a warm-up; name its folder")
        hashes.append(sha256_of(warmup_folder / "model.safetensors"))
    with _sole_training(out, device) as (group, check):
        method = _method(resolved, data, warmup_folder, group.device)
        tensors, seconds = method.state_dict(), 0.0
        if method.steps:
            average, seconds = fit(
                method, Training(resolved, data, out, stamp_of(*hashes), group, check), "train", SNAPSHOTS
            )
            tensors = averaged_tensors(method, average)
        if group.rank == 0:
            save_model(out, tensors, resolved, method.steps, seconds, method)


def _method(
    resolved: Resolved, data: PreparedCategory, warmup_folder: Path | None, device: torch.device
) -> torch.nn.Module:
    """The method of `resolved`, ready to be trained: with cameras of the data, or with the warm-up's grids and decoder."""
    settings = resolved.settings
    if not needs_warmup(resolved.method):
        method = build(method_class(resolved.method), settings, device, resolved.seed, resolved.method)
        if hasattr(method, "prepare"):
            method.prepare(data)
        return method
    warmup = load_file(warmup_folder / "model.safetensors", device=str(device))
    if len(warmup["grids"]) != len(data.train):
        raise UserError(
            f"{warmup_folder}: holds grids of {len(warmup['grids'])} objects, {data.folder} has {len(data.train)}; "
            "rerun the warm-up on this data"
        )
    method = build(HoloFusion, settings, device, resolved.seed, "train")
    prefix = "decoder."
    decoder = {name.removeprefix(prefix): value for name, value in warmup.items() if name.startswith(prefix)}
    method.prepare(data.train, warmup["grids"], decoder)
    return method


def run(job: Job[TrainSettings]) -> None:
    """Write the weights of the method to the folder `job.out`."""
    run_train(job.resolved, job.path("data"), job.inputs.get("warmup"), job.out, job.device)
