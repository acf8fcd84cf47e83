"""Reconstruct many objects in several processes, one file each, so that a kill loses one at most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from holofusion.config.codes import Reconstruction
from holofusion.data.prepared import PreparedCategory
from holofusion.reconstruction.fit import reconstruct
from holofusion.reconstruction.photographs import Photographs
from holofusion.utils.files import UserError, replacing
from holofusion.utils.precision import flushed_denormals
from holofusion.utils.progress import Progress
from holofusion.utils.side_by_side import side_by_side


@dataclass(frozen=True)
class ObjectJob:
    """One object of prepared data, and the file that its grid goes to."""

    data: Path
    name: str
    section: Reconstruction
    file: Path


def reconstruct_objects(
    data: PreparedCategory, names: Sequence[str], section: Reconstruction, folder: Path, workers: int
) -> None:
    """Write the plain grid of each named object to a file of `folder`; those that are there stay."""
    jobs = [ObjectJob(data.folder, name, section, _file(folder, name)) for name in names]
    left = [job for job in jobs if not job.file.exists()]
    progress = Progress(f"reconstruct {data.category}", len(jobs), start=len(jobs) - len(left))
    for name in side_by_side(_reconstruct, left, workers):
        progress.advance(name)


def read_grids(folder: Path, names: Sequence[str]) -> Iterator[Tensor]:
    """The plain grids (4, n, n, n) of the named objects, float16. Raises UserError naming a file that is no such grid."""
    for name in names:
        path = _file(folder, name)
        try:
            yield load_file(path)["grid"]
        except (OSError, KeyError, SafetensorError) as error:
            raise UserError(f"{path}: not the grid of an object ({error}); make the reconstructions again") from None


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _reconstruct(job: ObjectJob) -> str:
    with flushed_denormals():
        grid = reconstruct(Photographs.of(_data(job.data), job.name), job.section, job.name).tuned
    with replacing(job.file) as temporary:
        save_file({"grid": grid.to(torch.float16).contiguous()}, temporary)
    return job.name


@lru_cache(maxsize=1)
def _data(folder: Path) -> PreparedCategory:
    return PreparedCategory.load(folder)
