"""The two training steps of the pipeline, from files to files: the warm-up, and a method's training."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from holofusion.data.views import PreparedCategory
from holofusion.files import UserError, sha256_of
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.methods.holofusion import HoloFusion
from holofusion.methods.refinement import refine
from holofusion.methods.registry import ENTRIES, method_class
from holofusion.seeds import generator_for
from holofusion.training.checkpoint import stamp_of
from holofusion.training.loop import averaged_tensors, fit, save_model
from holofusion.training.precision import resolve_precision

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


def run_warmup(resolved, data_folder: Path, out: Path, device: torch.device) -> None:
    """Train encoder, pooling head and decoder without noise; save them and the refined grids of all training objects."""
    settings, data = resolved.settings, PreparedCategory.load(data_folder)
    method = build(VoxelAutoencoder, settings, device, resolved.seed, "warmup")
    warmup = settings.warmup
    stamp = stamp_of(resolved.hash, resolve_precision(device, settings.volume.precision), data_hash(data))
    average, seconds = fit(
        method, data, resolved.seed, stamp, out, warmup.steps, warmup.ema, warmup.checkpoint_every, "warmup"
    )
    method.load_state_dict(averaged_tensors(method, average))
    began = time.monotonic()
    grids = refine(method.encode_objects(data, data.train, device), method.decoder, data, settings, resolved.seed)
    tensors = {**method.state_dict(), "grids": grids}
    save_model(out, tensors, resolved, warmup.steps, seconds + time.monotonic() - began, method)


def run_train(resolved, data_folder: Path, warmup_folder: Path | None, out: Path, device: torch.device) -> None:
    """Train the method of `resolved`: by itself, or, for those of HoloFusion's family, on the warm-up's grids.

    Raises UserError when such a one is given no warm-up.
    """
    if ENTRIES[resolved.method].implementation:
        return _train_alone(resolved, data_folder, out, device)
    if warmup_folder is None:
        raise UserError(f"--warmup: {resolved.method} trains on a warm-up; name its folder")
    _train_denoiser(resolved, data_folder, warmup_folder, out, device)


def _train_alone(resolved, data_folder: Path, out: Path, device: torch.device) -> None:
    """Train a method that needs the images and cameras only."""
    settings, data = resolved.settings, PreparedCategory.load(data_folder)
    method = build(method_class(resolved.method), settings, device, resolved.seed, resolved.method)
    if hasattr(method, "prepare"):
        method.prepare(data)
    if method.steps == 0:
        return save_model(out, method.state_dict(), resolved, 0, 0.0, method)
    stamp = stamp_of(resolved.hash, resolve_precision(device, settings.volume.precision), data_hash(data))
    average, seconds = fit(
        method, data, resolved.seed, stamp, out, method.steps, method.ema, method.checkpoint_every, "train", SNAPSHOTS
    )
    save_model(out, averaged_tensors(method, average), resolved, method.steps, seconds, method)


def _train_denoiser(resolved, data_folder: Path, warmup_folder: Path, out: Path, device: torch.device) -> None:
    """Train the 3D denoiser, with super-resolution where the settings ask for it, on the warm-up's grids."""
    settings, data = resolved.settings, PreparedCategory.load(data_folder)
    warmup = load_file(warmup_folder / "model.safetensors", device=str(device))
    if len(warmup["grids"]) != len(data.train):
        raise UserError(
            f"{warmup_folder}: holds grids of {len(warmup['grids'])} objects, {data_folder} has {len(data.train)}; "
            "rerun the warm-up on this data"
        )
    method = build(HoloFusion, settings, device, resolved.seed, "train")
    prefix = "decoder."
    decoder = {name.removeprefix(prefix): value for name, value in warmup.items() if name.startswith(prefix)}
    method.prepare(data.train, warmup["grids"], decoder)
    training = settings.training
    stamp = stamp_of(
        resolved.hash,
        resolve_precision(device, settings.volume.precision),
        data_hash(data),
        sha256_of(warmup_folder / "model.safetensors"),
    )
    average, seconds = fit(
        method,
        data,
        resolved.seed,
        stamp,
        out,
        training.steps,
        training.ema,
        training.checkpoint_every,
        "train",
        SNAPSHOTS,
    )
    save_model(out, averaged_tensors(method, average), resolved, training.steps, seconds, method)
