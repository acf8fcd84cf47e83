"""Codes of the reconstructed objects, and the network that decodes them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from holofusion.codes.decoder import CodeDecoder
from holofusion.codes.training import DecoderTraining, deviation_of, tuned_code
from holofusion.config.codes import Codes
from holofusion.config.steps import EncodeSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import build
from holofusion.pipeline.job import Job
from holofusion.reconstruction.objects import read_grids
from holofusion.reconstruction.photographs import Photographs
from holofusion.steps.training import facts_of, sole_training, stamp_for
from holofusion.training.loop import TrainingRun, averaged_tensors, fit
from holofusion.training.model_file import save_model
from holofusion.utils.files import reading, replacing
from holofusion.utils.precision import flushed_denormals
from holofusion.utils.progress import Progress
from holofusion.utils.side_by_side import side_by_side


def run(job: Job[EncodeSettings]) -> None:
    """Write model.safetensors (`codes` of the training objects, `held_out` ones, `decoder.*`) and model.json to `job.out`.

    Killed and started again, it goes on: from the decoder's saved state, and with the objects' codes that are missing.
    """
    settings, seed, data = job.settings, job.resolved.seed, PreparedCategory.load(job.path("data"))
    section, folder, device = settings.codes, job.path("reconstructions"), job.device
    names = [*data.train, *data.held_out]
    stamp = stamp_for(job, data, *sorted(folder.glob("*.safetensors")))
    with sole_training(job) as (group, check):
        began = time.monotonic()
        decoder = build(CodeDecoder, dict(settings), device, seed, "codes").requires_grad_(False)
        decoder.code.fit(read_grids(folder, data.train))
        codes = torch.cat([decoder.code.encode(grid[None].to(device)) for grid in read_grids(folder, names)])
        parts = job.out / f"parts-{stamp[:16]}"
        codes = _tuned(decoder, codes, data, names, section, parts / "before", job.threads)
        seconds = time.monotonic() - began
        count = len(data.train)
        training = DecoderTraining(decoder, section, codes[:count], data.train)
        if section.steps:
            decoder.requires_grad_(True)
            micro_batches = settings.parallel.micro_batches
            run_of = TrainingRun(seed, micro_batches, data, job.out, stamp, group, check)
            average, trained = fit(training, run_of, "decoder")
            training.load_state_dict(averaged_tensors(training, average))
            seconds += trained
        began = time.monotonic()
        codes = _tuned(decoder.requires_grad_(False), codes, data, names, section, parts / "after", job.threads)
        tensors = {**training.state_dict(), "codes": codes[:count].half(), "held_out": codes[count:].half()}
        seconds += time.monotonic() - began
        save_model(job.out, training, tensors, settings.volume.precision, seconds, facts_of(job))
        for left in job.out.glob("parts-*"):
            shutil.rmtree(left)


@dataclass(frozen=True)
class TuningJob:
    """One object whose code is tuned: where its photographs are, its code (1, numbers, m, m, m), the unit of shifts."""

    data: Path
    name: str
    decoder: CodeDecoder
    code: Tensor
    deviation: Tensor
    section: Codes
    file: Path


def _tuned(
    decoder: CodeDecoder,
    codes: Tensor,
    data: PreparedCategory,
    names: Sequence[str],
    section: Codes,
    folder: Path,
    workers: int,
) -> Tensor:
    """Codes (N, numbers, m, m, m) of the named objects, each tuned on its photographs and kept in a file of the folder.

    Held-out objects' too, by themselves: decoder and deviations come from training objects alone.
    """
    if not section.tuned_steps:
        return codes
    deviation = deviation_of(codes[: len(data.train)])
    jobs = [
        TuningJob(data.folder, name, decoder, code[None], deviation, section, folder / f"{name}.safetensors")
        for name, code in zip(names, codes, strict=True)
    ]
    left = [job for job in jobs if not job.file.exists()]
    progress = Progress(f"codes {data.category}", len(jobs), start=len(jobs) - len(left))
    # a GPU's memory is not shared with other processes
    for name in side_by_side(_tune, left, workers if codes.device.type == "cpu" else 1):
        progress.advance(name)
    found = []
    for job in jobs:
        with reading(job.file, "delete it, and it is made again"):
            found.append(load_file(job.file, device=str(codes.device))["code"])
    return torch.cat(found)


def _tune(job: TuningJob) -> str:
    photographs = Photographs.of(PreparedCategory.load(job.data), job.name, job.code.device)
    draws = job.file.parent.name, job.name
    with flushed_denormals():
        code = tuned_code(job.decoder, job.code, job.deviation, photographs, job.section, *draws)
    with replacing(job.file) as temporary:
        save_file({"code": code.contiguous()}, temporary)
    return job.name
