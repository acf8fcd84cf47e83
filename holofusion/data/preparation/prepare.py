"""Turn a folder in CO3D layout into prepared data: crops, cameras, split by object, frozen camera lists."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save

from holofusion.cameras import CONVENTION, Cameras, cameras_to_json
from holofusion.data.co3d.reader import frame_cameras, read_category, read_set_list
from holofusion.data.preparation.evaluation_cameras import draw_cameras, typical_orbit
from holofusion.data.preparation.jobs import Job, Rows, read_part, read_stamps, run_jobs
from holofusion.data.preparation.normalise import Sequence3D
from holofusion.data.preparation.selection import choose_frames, left_out, object_id, split_objects
from holofusion.pipeline.photographs import Stamp, write_stamps
from holofusion.utils.files import UserError, write_json
from holofusion.utils.locks import finished_parts
from holofusion.utils.progress import say


def prepare(settings: Any, category: str, seed: int, root: Path, out: Path, config_hash: str, workers: int) -> None:
    """Write the prepared data of one category to the folder `out`, whole or not at all.

    settings: has `.dataset`, that section of params.yaml.  root: folder in CO3D layout.  workers: processes; the result
    does not depend on their number. Sequences and frames of no use are dropped, printed and recorded with the reason.
    Finished sequences are kept beside `out` until it is complete: started again, it goes on where it stopped.
    Raises UserError for broken input.
    """
    dataset = settings.dataset
    annotations = read_category(root, category)
    listed = read_set_list(root, category, dataset.subset)
    chosen, dropped = choose_frames(annotations, listed, dataset)
    trained = set(listed["train"])
    split_objects(list(chosen), trained, dataset.held_out, seed)  # too few objects: say so before the work
    stamp = hashlib.sha256(f"{config_hash}/{category}".encode()).hexdigest()
    with finished_parts(out, stamp) as (folder, _):
        parts = folder / "parts"
        jobs = [
            Job(name, frames, frame_cameras(frames, annotations.frame_file), dataset, parts)
            for name, frames in chosen.items()
        ]
        del annotations  # every frame of the category; the jobs hold those that are used
        kept, left, stamps = _write_frames(folder, run_jobs(jobs, workers, f"prepare {category}"), root)
        write_stamps(folder, stamps)
        dropped += left
        for entry in dropped:
            say(f"prepare {category}: {entry['sequence']}: {entry['reason']}")
        train, held_out = split_objects(list(kept), trained, dataset.held_out, seed)
        if not train or not held_out:
            missing = "held_out" if train else "train"
            raise UserError(f"{root / category}: no usable {missing} sequence is left; see the reasons above")
        data = {
            "category": category,
            "source": dataset.source,
            "image_size": dataset.image_size,
            "objects": list(kept),
            "object_of": {name: object_id(name) for name in kept},
            "frames": {name: entry.rows for name, entry in kept.items()},
            "dropped": dropped,
            "normalisation": {name: entry.placed for name, entry in kept.items()},
            "config_hash": config_hash,
        }
        write_json(folder / "data.json", data)
        write_json(folder / "split.json", {"train": train, "held_out": held_out})
        pool = Cameras.cat([kept[name].cameras for name in train])
        frozen = draw_cameras(pool, dataset.evaluation_cameras, seed)
        facts = {"convention": CONVENTION, "image_size": dataset.image_size}
        write_json(folder / "evaluation_cameras.json", facts | {"cameras": cameras_to_json(frozen)})
        write_json(folder / "turntable.json", facts | asdict(typical_orbit(pool)))
        shutil.rmtree(parts)
    frames = sum(len(entry.rows) for entry in kept.values())
    say(f"prepare {category}: {frames} frames, {len(train)} sequences to train on, {len(held_out)} held out")


@dataclass(frozen=True)
class _Kept:
    rows: list[int]
    cameras: Cameras
    placed: dict[str, Any]


def _write_frames(
    folder: Path, finished: Iterable[tuple[Job, Path]], root: Path
) -> tuple[dict[str, _Kept], list[dict[str, str]], dict[str, Stamp]]:
    """Write images, masks and cameras as the sequences become ready.

    Returns what was kept, what was dropped, and the files below `root` that were used.
    """
    kept: dict[str, _Kept] = {}
    dropped, stamps = [], dict[str, Stamp]()
    with Rows(folder / "images.npy") as images, Rows(folder / "masks.npy") as masks:
        for job, part in finished:
            result = read_part(part)
            stamps |= read_stamps(part, root)
            if isinstance(result, str):
                dropped.append({"sequence": job.name, "reason": result})
                continue
            if result.faults:
                dropped.append({"sequence": job.name, "reason": left_out(result.faults, len(job.frames))})
            if result.remark:
                dropped.append({"sequence": job.name, "reason": f"kept, but {result.remark}"})
            rows = list(range(images.count, images.count + len(result.images)))
            images.append(result.images)
            masks.append(result.masks)
            kept[job.name] = _Kept(rows, result.cameras, _placement(result))
    if kept:
        every = Cameras.cat([entry.cameras for entry in kept.values()])
        columns = {"R": every.R, "T": every.T, "focal": every.focal, "principal": every.principal}
        content = save({key: value.contiguous() for key, value in columns.items()})
        (folder / "cameras.safetensors").write_bytes(content)
    return kept, dropped, stamps


def _placement(result: Sequence3D) -> dict[str, Any]:
    """How the world was moved, `X -> (X - center) rotation / scale`; without a rotation where it was upright."""
    placed = {"center": result.center, "scale": result.scale}
    return placed if result.rotation is None else placed | {"rotation": result.rotation}
