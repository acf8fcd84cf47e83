"""From a folder in CO3D layout to prepared data: crops, cameras, split by object, frozen camera lists."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import save

from holofusion.cameras import CONVENTION, Cameras, cameras_to_json, turntable
from holofusion.data.co3d import Frame, frame_cameras, read_category, read_set_list
from holofusion.data.normalise import Sequence3D, Unusable, make_sequence
from holofusion.data.selection import choose_frames, object_name, split_objects
from holofusion.files import UserError, replacing, write_json
from holofusion.logs import Progress, say
from holofusion.seeds import numpy_generator_for

TURNTABLE_FRAMES = 24

Job = tuple[str, list[Frame], Cameras, tuple[int, float, float, float]]


def prepare(settings: Any, category: str, seed: int, root: Path, out: Path, config_hash: str, workers: int) -> None:
    """Write the prepared data of one category to the folder `out`, whole or not at all.

    settings: has `.dataset` (subset, image_size, mask_threshold, context, margin, max_frames, held_out,
    evaluation_cameras).  root: folder in CO3D layout.  workers: processes; the result does not depend on their number.
    Sequences of no use are dropped, printed and recorded with the reason. Raises UserError for broken input.
    """
    dataset = settings.dataset
    annotations = read_category(root, category)
    listed = read_set_list(root, category, dataset.subset)
    chosen, dropped = choose_frames(annotations, listed, dataset.max_frames)
    split_objects(list(chosen), set(listed["train"]), dataset.held_out, seed)  # too few objects: say so before the work
    options = (dataset.image_size, dataset.mask_threshold, dataset.context, dataset.margin)
    jobs = [(name, frames, frame_cameras(frames, annotations.frame_file), options) for name, frames in chosen.items()]
    with replacing(out) as folder:
        folder.mkdir()
        kept, unusable = _write_frames(folder, jobs, workers, category)
        dropped += unusable
        for entry in dropped:
            say(f"prepare {category}: {entry['sequence']}: {entry['reason']}")
        train, held_out = split_objects(list(kept), set(listed["train"]), dataset.held_out, seed)
        if not train or not held_out:
            missing = "held_out" if train else "train"
            raise UserError(f"{root / category}: no usable {missing} sequence is left; see the reasons above")
        data = {
            "category": category,
            "image_size": dataset.image_size,
            "objects": list(kept),
            "object_of": {name: object_name(name) for name in kept},
            "frames": {name: entry.rows for name, entry in kept.items()},
            "dropped": dropped,
            "normalisation": {name: {"center": entry.center, "scale": entry.scale} for name, entry in kept.items()},
            "config_hash": config_hash,
        }
        write_json(folder / "data.json", data)
        write_json(folder / "split.json", {"train": train, "held_out": held_out})
        pool = Cameras.cat([kept[name].cameras for name in train])
        frozen = draw_cameras(pool, dataset.evaluation_cameras, seed)
        for file, entries in (("evaluation_cameras.json", frozen), ("turntable.json", typical_turn(pool))):
            content = {"convention": CONVENTION, "image_size": dataset.image_size, "cameras": cameras_to_json(entries)}
            write_json(folder / file, content)
    frames = sum(len(entry.rows) for entry in kept.values())
    say(f"prepare {category}: {frames} frames, {len(train)} sequences to train on, {len(held_out)} held out")


@dataclass(frozen=True)
class _Kept:
    rows: list[int]
    cameras: Cameras
    center: list[float]
    scale: float


def _write_frames(
    folder: Path, jobs: list[Job], workers: int, category: str
) -> tuple[dict[str, _Kept], list[dict[str, str]]]:
    """Write images, masks and cameras as the sequences become ready; return what was kept and what was dropped."""
    kept: dict[str, _Kept] = {}
    dropped = []
    with _Rows(folder / "images.npy") as images, _Rows(folder / "masks.npy") as masks:
        for (name, frames, *_), result in _run(jobs, workers, f"prepare {category}"):
            if isinstance(result, str):
                dropped.append({"sequence": name, "reason": result})
                continue
            if result.empty:
                reason = f"kept, but for {result.empty} of {len(frames)} frames with an empty mask"
                dropped.append({"sequence": name, "reason": reason})
            rows = list(range(images.count, images.count + len(result.images)))
            images.append(result.images)
            masks.append(result.masks)
            kept[name] = _Kept(rows, result.cameras, result.center, result.scale)
    if kept:
        every = Cameras.cat([entry.cameras for entry in kept.values()])
        columns = {"R": every.R, "T": every.T, "focal": every.focal, "principal": every.principal}
        content = save({key: value.contiguous() for key, value in columns.items()})
        (folder / "cameras.safetensors").write_bytes(content)
    return kept, dropped


def draw_cameras(pool: Cameras, count: int, seed: int) -> Cameras:
    """`count` cameras of the pool by seed; none is drawn twice before all were drawn once."""
    random = numpy_generator_for(seed, "evaluation cameras")
    rounds = [random.permutation(len(pool)) for _ in range(-(-count // len(pool)))]
    return pool[torch.from_numpy(np.concatenate(rounds)[:count])]


def typical_turn(pool: Cameras) -> Cameras:
    """A turntable at the pool's median distance, elevation and apparent size, around its mean upward direction.

    The axis is +y unless the cameras clearly say otherwise (more than 25 degrees off): a turn that covers one side
    more than the other tilts their mean a little.
    """
    mean = pool.R[:, :, 1].mean(0)
    up = mean / mean.norm() if mean.norm() > 0.3 and mean[1] < 0.9 * mean.norm() else torch.tensor([0.0, 1.0, 0.0])
    centers = pool.centers()
    distances = centers.norm(dim=1)
    elevation = torch.rad2deg(torch.asin(((centers @ up) / distances).clamp(-1, 1))).median()
    distance = float(distances.median())
    focal = float((pool.focal.mean(1) / distances).median()) * distance
    return turntable(TURNTABLE_FRAMES, float(elevation), distance, focal, up=up.tolist())


@dataclass
class _Rows:
    """A .npy file that grows along its first axis; its header is rewritten in place when the count is known."""

    path: Path
    count: int = 0

    def __enter__(self) -> Self:
        self.file = self.path.open("wb")
        return self

    def append(self, rows: np.ndarray) -> None:
        if not self.count:
            self.row_shape = rows.shape[1:]
            self._header()
        self.file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def _header(self) -> None:
        # NumPy pads the header so that the first axis may grow without moving the data.
        fields = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.row_shape)}
        np.lib.format.write_array_header_1_0(self.file, fields)

    def __exit__(self, *_: object) -> None:
        if self.count:
            self.file.seek(0)
            self._header()
        self.file.close()


def _work(job: Job) -> Sequence3D | str:
    _, frames, cameras, options = job
    try:
        return make_sequence(frames, cameras, *options)
    except Unusable as reason:
        return str(reason)


def _run(jobs: list[Job], workers: int, label: str) -> Iterator[tuple[Job, Sequence3D | str]]:
    progress = Progress(label, len(jobs))
    with ExitStack() as stack:
        results: Iterator[Sequence3D | str] = map(_work, jobs)
        if workers > 1:
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,))
            stack.callback(pool.shutdown, cancel_futures=True)
            results = pool.map(_work, jobs)
        for job, result in zip(jobs, results, strict=True):
            yield job, result
            progress.advance(job[0])
