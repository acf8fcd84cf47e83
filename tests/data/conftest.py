"""A tiny data folder whose truth is known: shaded spheres photographed by cameras written down by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from holofusion.data.preparation.prepare import prepare
from holofusion.data.prepared import PreparedCategory


@dataclass
class Ball:
    """A sphere seen by `views` cameras around it. dot: a point marked red in every photograph that it falls into."""

    center: tuple[float, float, float] = (0.3, -0.2, 0.5)
    radius: float = 0.8
    views: int = 8
    size: tuple[int, int] = (72, 96)
    dot: tuple[float, float, float] | None = None
    focal: float = 2.4
    legacy: bool = False
    split: str = "train"
    frames: list[dict] = field(default_factory=list)


def write_jgz(path: Path, value: object) -> None:
    path.write_bytes(gzip.compress(json.dumps(value).encode()))


def read_jgz(path: Path) -> list:
    return json.loads(gzip.decompress(path.read_bytes()))


def look_at(position: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R, T with X_cam = X R + T: +z to the target, +x left, +y up."""
    forward = (target - position) / np.linalg.norm(target - position)
    left = np.cross([0.0, 1.0, 0.0], forward)
    left /= np.linalg.norm(left)
    R = np.stack([left, np.cross(forward, left), forward], axis=1)
    return R, -position @ R


def photograph(ball: Ball, R: np.ndarray, T: np.ndarray, principal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image (H,W,3) on grey and mask (H,W), uint8, ray by ray: u = W/2 - s (f x/z + p)."""
    height, width = ball.size
    half = min(ball.size) / 2
    v, u = np.mgrid[:height, :width] + 0.5
    x = ((width / 2 - u) / half - principal[0]) / ball.focal
    y = ((height / 2 - v) / half - principal[1]) / ball.focal
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    middle = np.array(ball.center) @ R + T
    across = np.linalg.norm(np.cross(rays, middle), axis=-1) / np.linalg.norm(rays, axis=-1)
    inside = across < ball.radius
    shade = 60 + 150 * (1 - across / ball.radius).clip(0, 1)
    image = np.where(inside[..., None], np.stack([0 * shade, shade, shade], axis=-1), 90.0)
    if ball.dot is not None:
        point = np.array(ball.dot) @ R + T
        ndc = ball.focal * point[:2] / point[2] + principal
        spot = np.exp(-((u - width / 2 + half * ndc[0]) ** 2 + (v - height / 2 + half * ndc[1]) ** 2) / 8)
        image[..., 0] = np.where(inside, 250 * spot, image[..., 0])
    return image.round().astype(np.uint8), (inside * 255).astype(np.uint8)


def write_balls(root: Path, balls: dict[str, Ball], category: str = "ball") -> Path:
    """Write the balls as sequences of ROOT/category; returns that folder."""
    folder = root / category
    frames, lists = [], {"train": [], "val": [], "test": []}
    for name, ball in balls.items():
        for kind in ("images", "masks"):
            (folder / name / kind).mkdir(parents=True)
        for index in range(ball.views):
            angle, elevation = 2 * np.pi * index / ball.views, 0.2 + 0.7 * np.sin(2.4 * index)
            way = np.array([np.cos(elevation) * np.sin(angle), np.sin(elevation), np.cos(elevation) * np.cos(angle)])
            target = np.array(ball.center) + 0.1 * np.array([np.sin(index), np.cos(index), 0.0])
            R, T = look_at(np.array(ball.center) + (5 + 0.5 * np.sin(3 * index)) * way, target)
            principal = np.array([0.05, -0.1]) * np.cos(index)
            image, mask = photograph(ball, R, T, principal)
            paths = [f"{category}/{name}/images/frame{index:06d}.png", f"{category}/{name}/masks/frame{index:06d}.png"]
            Image.fromarray(image).save(root / paths[0])
            Image.fromarray(mask).save(root / paths[1])
            shrink = np.array(ball.size[::-1]) / min(ball.size) if ball.legacy else np.ones(2)
            viewpoint = {
                "R": R.tolist(),
                "T": T.tolist(),
                "focal_length": (ball.focal / shrink).tolist(),
                "principal_point": (principal / shrink).tolist(),
                "intrinsics_format": "ndc_norm_image_bounds" if ball.legacy else "ndc_isotropic",
            }
            frame = {
                "sequence_name": name,
                "frame_number": index,
                "frame_timestamp": index / 10,
                "image": {"path": paths[0], "size": list(ball.size)},
                "depth": None,
                "mask": {"path": paths[1], "mass": float((mask > 0).sum())},
                "viewpoint": viewpoint,
                "meta": None,
            }
            frames.append(frame)
            ball.frames.append(frame)
            lists[ball.split].append([name, index, paths[0]])
    sequences = [{"sequence_name": name, "category": category, "extra": 1} for name in balls]
    write_jgz(folder / "frame_annotations.jgz", frames)
    write_jgz(folder / "sequence_annotations.jgz", sequences)
    (folder / "set_lists").mkdir()
    (folder / "set_lists" / "set_lists_fewview_dev.json").write_text(json.dumps(lists))
    return folder


def make_settings(**changes: object) -> SimpleNamespace:
    """Settings as `prepare` reads them."""
    values = {
        "source": "co3d",
        "subset": "fewview_dev",
        "min_quality": 0.5,
        "quality_required": False,
        "min_frames": 5,
        "min_mask_mass": 20.0,
        "image_size": 48,
        "mask_threshold": 0.4,
        "context": 0.1,
        "margin": 0.1,
        "max_frames": 48,
        "held_out": 1,
        "evaluation_cameras": 10,
    }
    return SimpleNamespace(dataset=SimpleNamespace(**values | changes))


def three(**changes: object) -> dict[str, Ball]:
    """Three objects of different size, four sequences: `b` was photographed twice."""
    radii = {"a": 0.8, "b__1": 0.7, "b__2": 0.75, "c": 0.65}
    return {name: Ball(radius=radius, **changes) for name, radius in radii.items()}


def run(root: Path, out: Path, settings: SimpleNamespace, workers: int = 1) -> PreparedCategory:
    """Prepare the balls under `root` and open the result."""
    prepare(settings, "ball", 0, root, out, "hash", workers)
    return PreparedCategory.load(out)


@pytest.fixture(scope="session")
def balls() -> SimpleNamespace:
    """The tools of this file."""
    return SimpleNamespace(
        Ball=Ball,
        three=three,
        write=write_balls,
        settings=make_settings,
        run=run,
        look_at=look_at,
        write_jgz=write_jgz,
    )


@pytest.fixture
def edit_frames() -> Callable[[Path, Callable[[list], None]], None]:
    """A function that changes the frame annotations of a category folder in place."""

    def edit(folder: Path, change: Callable[[list], None]) -> None:
        frames = read_jgz(folder / "frame_annotations.jgz")
        change(frames)
        write_jgz(folder / "frame_annotations.jgz", frames)

    return edit
