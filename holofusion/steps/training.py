"""Functions that the training steps share: stamps of saved states, the lock, facts for model.json."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from holofusion.config.row_steps import TrainSettings
from holofusion.config.steps import EncodeSettings, WarmupSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.pipeline.job import Job
from holofusion.training.checkpoint import stamp_of
from holofusion.training.parallel import Group, joined
from holofusion.utils.files import sha256_of
from holofusion.utils.locks import owned
from holofusion.utils.precision import resolve_precision

AnyTraining = Job[WarmupSettings] | Job[TrainSettings] | Job[EncodeSettings]


def stamp_for(job: AnyTraining, data: PreparedCategory, *weights: Path) -> str:
    """What a saved state must match for this training to go on from it: settings, precision, data, and given weights."""
    precision = resolve_precision(job.device, job.settings.volume.precision)
    return stamp_of(job.resolved.hash, precision, data_hash(data), *map(sha256_of, weights))


def data_hash(data: PreparedCategory) -> str:
    """Hash of what identifies prepared data: cameras, frames, normalisation and split. Pixels are too many to read."""
    return sha256_of(*(data.folder / name for name in ("data.json", "split.json", "cameras.safetensors")))


@contextmanager
def sole_training(job: AnyTraining) -> Iterator[tuple[Group, Callable[[], None]]]:
    """The processes of this training, and its hold on `job.out`, which no other training has at the same time."""
    with joined(job.device) as group:
        with owned(job.out / "lock.json") if group.rank == 0 else nullcontext(lambda: None) as check:
            group.wait()
            yield group, check


def facts_of(job: AnyTraining) -> dict[str, Any]:
    """What model.json says of the run: its name in parts, and its settings.

    `settings`: the sections that the training reads, and the module is built from. `rows`: by row of the table that uses
    these weights, the sections that making its scenes reads beside, or reads otherwise. `fusions`:
    by `distillation.mode`, those in which fusing differs.
    """
    resolved = job.resolved
    return {
        "method": resolved.method,
        "category": resolved.category,
        "seed": resolved.seed,
        "config_hash": resolved.hash,
        "settings": resolved.settings.model_dump(mode="json"),
        "rows": {row: dict(sections) for row, sections in resolved.further.items()},
        "fusions": {mode: dict(sections) for mode, sections in resolved.fusions.items()},
    }
