"""Prepare sequences in several processes. Each finished one is a file: memory holds one per worker, a kill loses none."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from holofusion.cameras import Cameras
from holofusion.data.co3d.reader import Frame
from holofusion.data.preparation.normalise import CropSettings, Sequence3D, make_sequence
from holofusion.data.preparation.visual_hull import Unusable
from holofusion.pipeline.photographs import Stamp, stamp_of
from holofusion.utils.files import reading, replacing
from holofusion.utils.progress import Progress

ANEW = "delete it, and it is made anew"


@dataclass(frozen=True)
class Job:
    """One sequence to make ready. cameras: NDC isotropic, of the uncropped images.  folder: where its part is kept."""

    name: str
    frames: Sequence[Frame]
    cameras: Cameras
    settings: CropSettings
    folder: Path

    def files(self) -> list[Path]:
        """Every photograph and mask that is there."""
        return [path for frame in self.frames for path in (frame.image, frame.mask) if path and path.exists()]

    def part(self) -> Path:
        """The file of the finished part. Its name tells everything that went into it."""
        stats = [(path.name, path.stat().st_size, path.stat().st_ctime_ns) for path in self.files()]
        cameras = (self.cameras.R, self.cameras.T, self.cameras.focal, self.cameras.principal)
        content = (self.name, self.frames, stats, self.settings, [column.tolist() for column in cameras])
        return self.folder / f"{hashlib.sha256(repr(content).encode()).hexdigest()[:32]}.npz"


def run_jobs(jobs: Sequence[Job], workers: int, label: str) -> Iterator[tuple[Job, Path]]:
    """Yield every job and its finished part, in order. Parts found finished are not made again.

    Raises UserError from a job as soon as it is its turn; what others finished stays.
    """
    progress = Progress(label, len(jobs))
    with ExitStack() as stack:
        parts: Iterator[Path] = map(_work, jobs)
        if workers > 1:
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,))
            stack.callback(pool.shutdown, cancel_futures=True)
            parts = pool.map(_work, jobs)  # all are submitted at once, but neither job nor result holds a picture
        for job, part in zip(jobs, parts, strict=True):
            yield job, part
            progress.advance(job.name)


def _work(job: Job) -> Path:
    path = job.part()
    if not path.exists():
        try:
            content = _arrays(make_sequence(job.frames, job.cameras, job.settings))
        except Unusable as reason:
            content = {"unusable": np.array(str(reason))}
        content |= _stamps(job)
        with replacing(path) as temporary:
            np.savez(temporary, **content)  # type: ignore[arg-type]  # numpy's own types take no arrays by name
    return path


def _stamps(job: Job) -> dict[str, np.ndarray]:
    stamps = [(str(path), *stamp_of(path)) for path in job.files()]
    names, sizes, times, digests = zip(*stamps, strict=True) if stamps else ((), (), (), ())
    return {
        "files": np.array(names, dtype=str),
        "sizes": np.array(sizes, dtype=np.int64),
        "times": np.array(times, dtype=np.int64),
        "digests": np.array(digests, dtype=str),
    }


def read_stamps(path: Path, root: Path) -> dict[str, Stamp]:
    """What a finished part was made from: size, time and SHA-256 of every file, by path below `root`."""
    with reading(path, ANEW), np.load(path, allow_pickle=False) as content:
        columns = [content[key].tolist() for key in ("files", "sizes", "times", "digests")]
    return {
        Path(name).relative_to(root).as_posix(): (size, time, digest)
        for name, size, time, digest in zip(*columns, strict=True)
    }


def _arrays(made: Sequence3D) -> dict[str, np.ndarray]:
    cameras = made.cameras
    columns = {"R": cameras.R, "T": cameras.T, "focal": cameras.focal, "principal": cameras.principal}
    return {key: value.numpy() for key, value in columns.items()} | {
        "images": made.images,
        "masks": made.masks,
        "center": np.array(made.center),
        "scale": np.array(made.scale),
        "rotation": np.array(made.rotation or []),
        "fault_frames": np.array(list(made.faults), dtype=int),
        "remark": np.array(made.remark or ""),
        "fault_reasons": np.array(list(made.faults.values()), dtype=str),
    }


def read_part(path: Path) -> Sequence3D | str:
    """A finished sequence, or why it is unusable."""
    with reading(path, ANEW), np.load(path, allow_pickle=False) as content:
        if "unusable" in content:
            return str(content["unusable"])
        columns = (torch.from_numpy(content[key]) for key in ("R", "T", "focal", "principal"))
        return Sequence3D(
            images=content["images"],
            masks=content["masks"],
            cameras=Cameras(*columns),
            center=content["center"].tolist(),
            scale=float(content["scale"]),
            rotation=content["rotation"].tolist() or None,
            remark=str(content["remark"]) or None,
            faults=dict(zip(content["fault_frames"].tolist(), content["fault_reasons"].tolist(), strict=True)),
        )


@dataclass
class Rows:
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
