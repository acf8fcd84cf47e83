"""A fabricated results folder: real settings files, tiny pictures, invented numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holofusion.cameras import cameras_to_json, turntable
from holofusion.config import load_params, load_step, write_resolved

SIDE = 24
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


def write_metrics(results: Path, name: str, method: str, kernel: float) -> None:
    settings = load_step(results / "config" / "evaluate" / f"{name}.yaml")
    network = settings.settings.evaluation.feature_network
    entries = []
    for reference, add in (("train", 0.0), ("held_out", 0.005)):
        counts = {"reference": reference, "n_real": 90, "n_generated": 60}
        frechet = {"metric": f"fd_{network}", "value": 2000 * (kernel + add), "low": None, "high": None}
        distance = {"metric": f"kd_{network}", "value": kernel + add, "low": kernel - 0.004, "high": kernel + 0.01}
        entries += [{**frechet, **counts}, {**distance, **counts, "subset_size": 50, "subsets": 10}]
    content = {"run": name, "method": method, "category": "teddybear", "seed": 0, "config_hash": settings.hash}
    content |= {"feature_network": network, "n_scenes": 4, "entries": entries, "seconds": 1.0}
    write_json(results / "metrics" / f"{name}.json", content)


def write_curve(results: Path, name: str, values: list[float]) -> None:
    settings = load_step(results / "config" / "curve" / f"{name}.yaml")
    points = [
        {"steps": 10 * number, "seconds": 20.0 * number, "images": 80 * number, "metric": "kd_test", "value": value,
         "low": value - 0.01, "high": value + 0.01, "n_real": 90, "n_generated": 32}
        for number, value in enumerate(values)
    ]  # fmt: skip
    write_json(results / "metrics" / f"curve-{name}.json", {"config_hash": settings.hash, "points": points})


def write_model(folder: Path, seconds: float, parts: list[str]) -> None:
    model = {"method": None, "category": "teddybear", "seed": 0, "config_hash": "x", "steps": 50, "seconds": seconds}
    model |= {"parameters": {"denoiser": 1_000_000, "decoder": 500_000}, "device": "test CPU", "git_commit": "abc123"}
    write_json(folder / "model.json", {**model, "versions": {"torch": "2.12.0"}})
    lines = [{"step": step, "seconds": step, **{part: 1 / step for part in parts}} for step in range(10, 60, 10)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 60, "lo')


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder of one category and four methods, complete but for the prepared data."""
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    params = params.model_copy(update={"methods": METHODS, "categories": ["teddybear"], "seeds": [0]})
    folder = tmp_path / "results"
    write_resolved(params, folder)
    write_metrics(folder, "real_floor-teddybear", "real_floor", 0.002)
    for number, method in enumerate(METHODS):
        name = f"{method}-teddybear-s0"
        write_metrics(folder, name, method, KERNEL[method])
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
