"""The embedded data set: procedural objects, written as a CO3Dv2 folder that any CO3D reader loads.

Objects face +z, +y up, each with its own small yaw, scale and place in the world; the light is fixed in the world.
The same seed gives the same files, whatever the number of workers.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import trimesh
from PIL import Image
from skimage.measure import marching_cubes
from torch import Tensor

from holofusion.data.shape_food import apple, donut
from holofusion.data.shape_hydrant import hydrant
from holofusion.data.shape_teddybear import teddybear
from holofusion.data.shapes import column, length, rotation
from holofusion.data.synthetic_render import Model, bake, orbit, render, shade
from holofusion.files import UserError, replacing, write_json
from holofusion.logs import Progress
from holofusion.seeds import numpy_generator_for

SUBSET = "fewview_dev"
BUILDERS = {"apple": apple, "hydrant": hydrant, "teddybear": teddybear, "donut": donut}
HELD_OUT_SHARE = 8  # one object in eight is kept for val and test
SOURCE_VIEWS = 5  # known frames beside the target in an evaluation batch


class SyntheticSettings(Protocol):
    """What is read of the `synthetic` section of params.yaml."""

    objects: int
    views: int
    size: int  # image side, px


@dataclass(frozen=True)
class Task:
    """One object to make: everything a worker needs."""

    category: str
    number: int
    held_out: bool
    seed: int
    views: int
    size: int
    folder: Path

    @property
    def sequence(self) -> str:
        return f"{self.category}_{self.number:04d}"


def make_dataset(settings: SyntheticSettings, category: str, seed: int, root: Path, workers: int) -> None:
    """Write ROOT/<category> (replacing it whole, or not at all) and list it in ROOT's category file.

    Each sequence folder also holds `mesh.ply`: the true surface in world coordinates, with vertex colours.
    Raises UserError for a category without a builder.
    """
    if category not in BUILDERS:
        raise UserError(f"categories: {category!r} has no procedural objects; choose from {', '.join(BUILDERS)}")
    chosen = numpy_generator_for(seed, "synthetic", category, "split").permutation(settings.objects)
    count = min(
        max(1, round(settings.objects / HELD_OUT_SHARE)), settings.objects - 1
    )  # one at least stays to train on
    held_out = set(chosen[:count].tolist())
    root = Path(root)
    with replacing(root / category) as folder:
        tasks = [
            Task(category, number, number in held_out, seed, settings.views, settings.size, folder)
            for number in range(settings.objects)
        ]
        progress = Progress(f"dataset {category}", len(tasks))
        sequences: list[list[dict[str, Any]]] = []
        for frames in _map(tasks, workers):
            sequences.append(frames)
            progress.advance()
        _write_annotations(folder, category, tasks, sequences)
    _list_category(root)


def _map(tasks: list[Task], workers: int) -> Iterator[list[dict[str, Any]]]:
    """Results in order. One torch thread per worker, so that the bytes do not depend on the machine's load."""
    if workers <= 1 or len(tasks) == 1:
        with _one_thread():
            yield from map(_make_object, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(_make_object, tasks)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def _make_object(task: Task) -> list[dict[str, Any]]:
    """Write the images, masks and mesh of one object; return its frame annotations."""
    model = bake(BUILDERS[task.category](numpy_generator_for(task.seed, "synthetic", task.category, task.number)))
    random = numpy_generator_for(task.seed, "synthetic", task.category, task.number, "world")
    scale, yaw = float(random.uniform(0.6, 1.6)), float(random.normal(0, 0.08))
    offset = column(random.uniform(-0.5, 0.5, 3))
    turn = rotation(y=yaw)
    folder = task.folder / task.sequence
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    _write_mesh(folder / "mesh.ply", model, lambda points: turn @ points * scale + offset)
    frames = []
    for view, (R, T, focal) in enumerate(_cameras(model, task.views, random)):
        image, cover = render(model, R, T, focal, task.size)
        name = f"frame{view + 1:06d}"
        Image.fromarray(image).save(folder / "images" / f"{name}.jpg", quality=95, subsampling=0)
        Image.fromarray(cover).save(folder / "masks" / f"{name}.png")
        # world X = scale * turn X_object + offset; the same picture from scale times as far
        world_R = turn @ R
        world_T = scale * T - (world_R.T @ offset).flatten()
        frames.append(_frame(task, view, name, cover, world_R, world_T, focal))
    return frames


def _cameras(model: Model, views: int, random: np.random.Generator) -> Iterable[tuple[Tensor, Tensor, float]]:
    """Cameras once round the object: R, T in object units, focal length in NDC; the object is never cut off."""
    points = model.surface_points()
    points = points[:, :: max(1, points.shape[1] // 4000)]
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    center, radius = (low + high) / 2, float(length(high - low)) / 2
    lens, first = random.uniform(2.4, 4.2), random.uniform(0, 2 * math.pi)
    for view in range(views):
        azimuth = first + 2 * math.pi * (view + random.uniform(-0.4, 0.4)) / views
        elevation = math.radians(random.uniform(5, 50))
        focal = float(lens * random.uniform(0.95, 1.05))
        share = random.uniform(0.55, 0.80)
        target = center + radius * 0.06 * column(random.normal(size=3).clip(-1.5, 1.5))
        distance = 2 * focal * radius
        for _ in range(4):  # the share of the image grows as the distance shrinks: a few fixed-point steps
            R, T = orbit(azimuth, elevation, distance, target)
            seen = R.T @ points + T[:, None]
            ndc = focal * seen[:2] / seen[2]
            size = float((ndc.amax(1) - ndc.amin(1)).max()) / 2
            distance *= max(size / share, float(ndc.abs().max()) / 0.94)
        R, T = orbit(azimuth, elevation, distance, target)
        yield R, T, focal


def _frame(task: Task, view: int, name: str, cover: np.ndarray, R: Tensor, T: Tensor, focal: float) -> dict[str, Any]:
    rows, columns = np.nonzero(cover.max(1))[0], np.nonzero(cover.max(0))[0]
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    kind = "train_known"
    if task.held_out:
        kind = "test_unseen" if view == 0 else "test_known"
    prefix = f"{task.category}/{task.sequence}"
    return {
        "sequence_name": task.sequence,
        "frame_number": view + 1,
        "frame_timestamp": round(view / 10, 3),
        "image": {"path": f"{prefix}/images/{name}.jpg", "size": [task.size, task.size]},
        "depth": None,
        "mask": {
            "path": f"{prefix}/masks/{name}.png",
            "mass": float(cover.sum(dtype=np.float64) / 255),
            "bounding_box_xywh": [float(v) for v in box],
        },
        "viewpoint": {
            "R": R.tolist(),
            "T": T.tolist(),
            "focal_length": [focal, focal],
            "principal_point": [0.0, 0.0],
            "intrinsics_format": "ndc_isotropic",
        },
        "meta": {"frame_type": kind, "frame_splits": [f"multisequence_{kind.split('_')[0]}"], "eval_batch_maps": []},
    }


def _write_mesh(path: Path, model: Model, place: Callable[[Tensor], Tensor]) -> None:
    """PLY of the surface, its points (3, n) moved by `place`."""
    grid = model.distance
    vertices, faces, _, _ = marching_cubes(grid.values[0, 0].numpy(), 0.0)
    points = torch.from_numpy(np.ascontiguousarray(vertices[:, ::-1].T)) * grid.cell + grid.origin
    colors = (shade(model, points) * 255).round().to(torch.uint8).T.numpy()
    faces = faces[:, ::-1]  # the grid's axes are z, y, x: swapping them turns the faces inside out
    mesh = trimesh.Trimesh(place(points).T.numpy(), faces, vertex_colors=colors, process=False)
    path.write_bytes(trimesh.exchange.ply.export_ply(mesh))


def _write_annotations(folder: Path, category: str, tasks: list[Task], sequences: list[list[dict[str, Any]]]) -> None:
    _write_jgz(folder / "frame_annotations.jgz", [frame for frames in sequences for frame in frames])
    _write_jgz(
        folder / "sequence_annotations.jgz",
        [
            {
                "sequence_name": task.sequence,
                "category": category,
                "video": None,
                "point_cloud": None,
                "viewpoint_quality_score": 1.0,
            }
            for task in tasks
        ],
    )

    def triples(held_out: bool) -> list[list[list[Any]]]:
        return [
            [[f["sequence_name"], f["frame_number"], f["image"]["path"]] for f in frames]
            for task, frames in zip(tasks, sequences, strict=True)
            if task.held_out == held_out
        ]

    test = triples(True)
    flat = [triple for frames in test for triple in frames]
    lists = {"train": [triple for frames in triples(False) for triple in frames], "val": flat, "test": flat}
    write_json(folder / "set_lists" / f"set_lists_{SUBSET}.json", lists)
    batches = []
    for frames in test:
        step = max(1, (len(frames) - 1) // SOURCE_VIEWS)
        batches.append([frames[0], *frames[1::step][:SOURCE_VIEWS]])
    write_json(folder / "eval_batches" / f"eval_batches_{SUBSET}.json", batches)


def _write_jgz(path: Path, value: Any) -> None:
    text = json.dumps(value, allow_nan=False).encode()
    path.write_bytes(gzip.compress(text, mtime=0))  # no time stamp: same data, same bytes


def _list_category(root: Path) -> None:
    """Rewrite the list of categories from the folders present; locked, as categories may be made at the same time."""
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        present = sorted(p.parent.parent.name for p in root.glob(f"[!.]*/set_lists/set_lists_{SUBSET}.json"))
        write_json(root / "category_to_subset_name_list.json", {name: [SUBSET] for name in present})
    finally:
        os.close(handle)
