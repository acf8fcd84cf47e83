"""The embedded data set: procedural objects, written as a CO3Dv2 folder that any CO3D reader loads.

Objects face +z, +y up, each with its own small yaw, scale and place in the world; the light is fixed in the world.
The same seed gives the same files, whatever the number of workers.
"""

from __future__ import annotations

import math
import multiprocessing
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

from holofusion.data.co3d.writer import frame_entry, held_out_count, list_category, write_annotations
from holofusion.data.synthetic.food import apple, donut
from holofusion.data.synthetic.hydrant import hydrant
from holofusion.data.synthetic.render import Model, bake, orbit, render, shade
from holofusion.data.synthetic.sdf import column, length, rotation
from holofusion.data.synthetic.teddybear import teddybear
from holofusion.utils.files import UserError, replacing
from holofusion.utils.progress import Progress
from holofusion.utils.random import numpy_generator_for

BUILDERS = {"apple": apple, "hydrant": hydrant, "teddybear": teddybear, "donut": donut}


class SyntheticSettings(Protocol):
    """What is read of the `synthetic` section of params.yaml."""

    @property
    def objects(self) -> int: ...

    @property
    def views(self) -> int: ...

    @property
    def size(self) -> int: ...  # image side, px


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
    held_out = set(chosen[: held_out_count(settings.objects)].tolist())
    root = Path(root)
    with replacing(root / category) as folder:
        tasks = [
            Task(category, number, number in held_out, seed, settings.views, settings.size, folder)
            for number in range(settings.objects)
        ]
        progress = Progress(f"dataset {category}", len(tasks))
        sequences: dict[str, list[dict[str, Any]]] = {}
        for task, frames in zip(tasks, _map(tasks, workers), strict=True):
            sequences[task.sequence] = frames
            progress.advance()
        write_annotations(folder, category, sequences, {task.sequence for task in tasks if task.held_out}, 1.0)
    list_category(root)


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
        viewpoint = {"R": world_R.tolist(), "T": world_T.tolist()}
        viewpoint |= {"focal_length": [focal, focal], "principal_point": [0.0, 0.0]}
        frames.append(frame_entry(task.category, task.sequence, view, f"{name}.jpg", task.held_out, cover, viewpoint))
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


def _write_mesh(path: Path, model: Model, place: Callable[[Tensor], Tensor]) -> None:
    """PLY of the surface, its points (3, n) moved by `place`."""
    grid = model.distance
    vertices, faces, _, _ = marching_cubes(grid.values[0, 0].numpy(), 0.0)
    points = torch.from_numpy(np.ascontiguousarray(vertices[:, ::-1].T)) * grid.cell + grid.origin
    colors = (shade(model, points) * 255).round().to(torch.uint8).T.numpy()
    faces = faces[:, ::-1]  # the grid's axes are z, y, x: swapping them turns the faces inside out
    mesh = trimesh.Trimesh(place(points).T.numpy(), faces, vertex_colors=colors, process=False)
    path.write_bytes(trimesh.exchange.ply.export_ply(mesh))
