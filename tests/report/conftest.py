"""A fabricated results folder: real settings files, tiny pictures, invented numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from holofusion.cameras import cameras_to_json, turntable
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import REAL_ROWS
from holofusion.pipeline.resolve import load_step, write_resolved
from holofusion.pipeline.steps import STEPS
from tests.report.shapes import COLOURS, MARKS, QUARTERS, write_squares, write_textured

SIDE = 32
METHODS = ["holofusion", "holodiffusion_star", "holodiffusion", "holodiffusion_nobootstrap"]
KERNEL = {"holofusion": 0.012, "holodiffusion_star": 0.010, "holodiffusion": 0.030, "holodiffusion_nobootstrap": 0.090}
BENCHMARK = "s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:10\t1500.0\t-\n"


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_picture(path: Path, *seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return path.name


def write_views(folder: Path, run: str, number: int, seeds: list[int]) -> None:
    cameras = cameras_to_json(turntable(4, 20.0, 5.0, 3.0))
    scenes = []
    for seed in seeds:
        views, frames = f"{seed:06d}/view", f"turntable/{seed:06d}/frame"
        listing = {}
        for key, stem in (("views", views), ("turntable", frames)):
            listing[key] = []
            for index, camera in enumerate(cameras[:3]):
                write_picture(folder / f"{stem}_{index:03d}.png", number, seed, index, key == "views")
                listing[key].append({"file": f"{stem}_{index:03d}.png", **camera})
        scenes.append({"seed": seed, **listing})
    cost = {"sample_seconds": 10.0 * len(seeds), "render_seconds": 2.0 * len(seeds), "scenes": len(seeds)}
    content = {"convention": "pytorch3d_ndc", "image_size": SIDE, "run": run, "scenes": scenes, "cost": cost}
    write_json(folder / "cameras.json", content)


def made_up(metric: str, reference: str | None, value: float, low: float, high: float, **counts: int) -> dict[str, Any]:
    """An entry whose replicates spread as its interval does."""
    replicates = list(np.linspace(low, high, 41))
    ends = {"low": low, "high": high}
    return {
        "metric": metric,
        "reference": reference,
        "value": value,
        **ends,
        **counts,
        "units": 500,
        "replicates": replicates,
    }


def write_metrics(results: Path, name: str, method: str, kernel: float) -> None:
    settings = load_step(
        results / "config" / ("reference" if method.startswith("real_") else "evaluate") / f"{name}.yaml"
    )
    network = settings.settings.evaluation.feature_network
    entries = []
    for reference, add in (("train", 0.0), ("held_out", 0.005)):
        counts, value = {"n_real": 90, "n_generated": 60}, kernel + add
        entries.append(made_up(f"fd_{network}", reference, 2000 * value, 1900 * value, 2100 * value, **counts))
        further = {**counts, "subset_size": 50, "subsets": 10}
        entries.append(made_up(f"kd_{network}", reference, value, kernel - 0.004, kernel + 0.01, **further))
    for metric in ("precision", "recall", "density", "coverage", "diversity", "memorised", "sharpness"):
        entries.append(made_up(metric, "train", 0.5 + kernel, 0.4, 0.7, n_real=60, n_generated=60))
    content = {"run": name, "method": method, "category": "teddybear", "seed": 0, "config_hash": settings.hash}
    content |= {"feature_network": network, "n_scenes": 4, "n_available": 64, "entries": entries}
    if method.startswith("real_"):
        content |= {"other_category": "donut", "one_image_repeated": 0.16}
    else:
        near = [("0/000000/view_000.png", 3, 1.5, False), ("0/000001/view_000.png", 9, 0.5, True)]
        keys = ("picture", "row", "distance", "memorised")
        content |= {"scenes": [0, 1, 2, 3], "nearest": [dict(zip(keys, line, strict=True)) for line in near]}
    write_json(results / "metrics" / f"{name}.json", content)


VIEWS = {"consistency_psnr": 30.0, "consistency_ssim": 0.9, "depth_spread": 0.2}
SURFACES = {"chamfer_coverage": 0.4, "chamfer_mmd": 0.05, "mesh_components": 1.5, "floaters": 0.01}


def write_further_metrics(results: Path, step: str, name: str, values: dict[str, float]) -> None:
    """What the step `consistency` or `geometry` found."""
    settings = load_step(results / "config" / step / f"{name}.yaml")
    entries = [made_up(metric, None, value, 0.9 * value, 1.1 * value) for metric, value in values.items()]
    write_json(STEPS[step].path(results, name), {"config_hash": settings.hash, "entries": entries})


def write_surface(results: Path, name: str) -> None:
    folder = results / "meshes" / name / "0"
    write_json(folder / "meshes.json", {"scenes": [{"seed": 0}, {"seed": 1}]})
    trimesh.creation.box().export(folder / "000000.ply")


def write_curve(results: Path, name: str, values: list[float]) -> None:
    settings = load_step(results / "config" / "curve" / f"{name}.yaml")
    points = [
        {
            "steps": 10 * number,
            "seconds": 20.0 * number,
            "images": 80 * number,
            "metric": "kd_test",
            "value": value,
            "low": value - 0.01,
            "high": value + 0.01,
            "n_real": 90,
            "n_generated": 32,
        }
        for number, value in enumerate(values)
    ]
    write_json(results / "metrics" / f"curve-{name}.json", {"config_hash": settings.hash, "points": points})


def write_model(folder: Path, seconds: float, parts: list[str]) -> None:
    model = {
        "method": folder.name.split("-")[0],
        "images": 400,
        "precision": "fp32",
        "category": "teddybear",
        "seed": 0,
        "config_hash": "x",
        "steps": 50,
        "seconds": seconds,
    }
    model |= {"parameters": {"denoiser": 1_000_000, "decoder": 500_000}, "device": "test CPU", "git_commit": "abc123"}
    write_json(folder / "model.json", {**model, "versions": {"torch": "2.12.0"}})
    lines = [{"step": step, "seconds": step, **{part: 1 / step for part in parts}} for step in range(10, 60, 10)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 60, "lo')


@pytest.fixture
def results(tmp_path: Path, prepared_smoke: Path) -> Path:
    """A complete results folder of one category and four methods."""
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    params = params.model_copy(update={"methods": METHODS, "categories": ["teddybear"], "seeds": [0]})
    evaluation = params.evaluation.model_copy(update={"other_category": "donut"})
    params = params.model_copy(update={"evaluation": evaluation})
    folder = tmp_path / "results"
    write_resolved(params, folder)
    shutil.copytree(prepared_smoke, folder / "data" / "teddybear")
    for number, row in enumerate(REAL_ROWS):
        write_metrics(folder, f"{row}-teddybear", row, 0.002 + 0.05 * number)
    write_further_metrics(folder, "geometry_floor", "real_floor-teddybear", SURFACES)
    for number, method in enumerate(METHODS):
        name = f"{method}-teddybear-s0"
        write_metrics(folder, name, method, KERNEL[method])
        seen = VIEWS | ({"consistency_psnr": 20.0} if method == "holodiffusion_star" else {})
        write_further_metrics(folder, "consistency", name, seen)
        write_further_metrics(folder, "geometry", name, SURFACES)
        write_surface(folder, name)
        write_views(folder / "views" / name / "0", name, number, [0, 1])
        write_views(folder / "views" / name / "1", name, number, [2, 3])
    write_model(folder / "warmup" / "teddybear-s0", 20.0, ["loss", "colour"])
    write_model(folder / "runs" / "holofusion-teddybear-s0", 60.0, ["loss", "grid"])
    write_model(folder / "runs" / "holodiffusion_nobootstrap-teddybear-s0", 50.0, ["loss", "grid"])
    write_curve(folder, "holodiffusion-teddybear-s0", [0.6, 0.4, 0.3])
    write_curve(folder, "holodiffusion_nobootstrap-teddybear-s0", [0.7, 0.5])
    for seed in range(4):
        bank = folder / "hypotheses" / "holofusion-teddybear-s0" / "0" / f"{seed:06d}"
        write_json(bank / "cameras.json", {"seconds": 5.0})
    for shard in range(2):
        path = folder / "benchmarks" / "sample" / "holofusion-teddybear-s0" / f"{shard}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BENCHMARK.format(seconds=10.5 + shard))
    return folder


@pytest.fixture
def resolved(results: Path) -> Any:
    return load_step(results / "config" / "report" / "report.yaml")


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square with a texture of four colours."""
    texture = np.zeros((64, 64, 3), np.uint8)
    for colour, (x, y) in QUARTERS.items():
        texture[32 * (y < 0) :, 32 * (x > 0) :][:32, :32] = colour
    return write_textured(tmp_path_factory.mktemp("mesh") / "quarters.glb", texture)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square with a texture that is black and white by columns, far more than a canvas has."""
    texture = np.zeros((4096, 4096, 3), np.uint8)
    texture[:, ::2] = 255
    return write_textured(tmp_path_factory.mktemp("mesh") / "stripes.glb", texture)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube with six colours."""
    normals = {name: np.roll([1.0, 0.0, 0.0], "xyz".index(name[1])) * (1 if name[0] == "+" else -1) for name in COLOURS}
    squares = [(normal / 2, normal, 0.5, COLOURS[name]) for name, normal in normals.items()]
    return write_squares(tmp_path_factory.mktemp("mesh") / "cube.ply", squares)


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small squares that face +z, one colour each, at places without symmetry."""
    squares = [(np.array(place), np.array([0.0, 0.0, 1.0]), 0.06, colour) for colour, place in MARKS.items()]
    return write_squares(tmp_path_factory.mktemp("mesh") / "marks.ply", squares)
