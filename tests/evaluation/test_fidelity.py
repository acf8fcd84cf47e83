"""Scores from folder to file: known distances, counts, intervals, shared features, and refusals."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from holofusion.evaluation import features
from holofusion.evaluation.fidelity import frechet_distance, kernel_distance
from holofusion.steps.evaluate import run_evaluate
from holofusion.steps.reference import run_reference
from holofusion.utils.files import UserError


def blurred(image: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def noisy(image: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(int(image.sum())).normal(0, strength, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def feature() -> Callable[[Any], torch.Tensor]:
    network = features.load_network("efficientnet_lite0", None, torch.device("cpu"))
    return lambda images: features.extract(network, iter(images), len(images), "test").double()


def test_frechet_distance_equals_its_other_form() -> None:
    # tr sqrt(S1 S2) is the sum of the singular values of A B^T, where S1 = A^T A and S2 = B^T B.
    random = np.random.default_rng(0)
    sets = [random.normal(shift, 1 + shift, (count, 24)) for shift, count in ((0, 60), (0.5, 80))]
    centred = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in sets]
    expected = ((sets[0].mean(0) - sets[1].mean(0)) ** 2).sum() + sum((x**2).sum() for x in centred)
    expected -= 2 * np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    assert frechet_distance(*(torch.from_numpy(x) for x in sets)) == pytest.approx(expected, rel=1e-6)


def test_distances_are_zero_to_itself_and_grow_with_blur_and_noise(feature: Callable, pictures: np.ndarray) -> None:
    clean = feature(pictures)
    size = len(pictures)
    assert abs(frechet_distance(clean, clean)) < 1e-3
    # The unbiased estimate leaves out each image's pair with itself, so a set against itself falls just below zero.
    itself = kernel_distance(clean, clean, size, 1)
    halves = kernel_distance(clean[::2], clean[1::2], size // 2, 1)
    for damage, strengths in ((blurred, (1.0, 4.0)), (noisy, (12, 60))):
        damaged = [feature([damage(image, strength) for image in pictures]) for strength in strengths]
        kernel = [kernel_distance(clean, other, size, 1) for other in damaged]
        frechet = [frechet_distance(clean, other) for other in damaged]
        assert itself < kernel[0] < kernel[1]
        assert 1e-3 < frechet[0] < frechet[1]
        assert abs(itself) < 0.1 * kernel[1] and abs(halves) < 0.1 * kernel[1]


METRICS = [
    "precision",
    "recall",
    "density",
    "coverage",
    "diversity",
    "memorised",
    "sharpness",
    "sharpness_outline",
    "nearest_rank",
]


def test_run_writes_counts_intervals_and_network(
    data: Any, resolved: SimpleNamespace, write_views: Callable, tmp_path: Path
) -> None:
    scenes = {seed: [noisy(data.images[4 * seed + frame], 0.5) for frame in range(4)] for seed in range(6)}
    out, views = tmp_path / "metrics" / "run.json", write_views(tmp_path / "views", scenes)
    run_evaluate(resolved, tmp_path, views, out)
    result = json.loads(out.read_text())
    assert (result["run"], result["config_hash"], result["n_scenes"]) == ("holofusion-disc-s0", "abc", 6)
    assert (result["n_available"], result["scenes"]) == (
        24,
        list(range(6)),
    )  # 18 of them are scored, of every scene some
    entries = result["entries"]
    assert [(e["metric"], e["reference"]) for e in entries] == [
        ("fd_efficientnet_lite0", "train"),
        ("kd_efficientnet_lite0", "train"),
        ("fd_efficientnet_lite0", "held_out"),
        ("kd_efficientnet_lite0", "held_out"),
        *[(metric, "train") for metric in METRICS],
    ]
    assert [(e["n_real"], e["n_generated"]) for e in entries[:4]] == [(32, 18)] * 2 + [(16, 18)] * 2
    for found in entries:
        assert found["low"] <= found["value"] <= found["high"] and len(found["replicates"]) == 50
    assert [e["subset_size"] for e in entries[1:4:2]] == [18, 16]  # reduced to the smaller set, and recorded
    assert len(list((out.parent / "features").glob("*.safetensors"))) == 2
    assert [near["picture"] for near in result["nearest"]] == [f"{s % 2}/{s:06d}/view_000.png" for s in range(6)]
    # a noisy picture of a training object: its own object is the nearest
    assert [near["row"] // 4 for near in result["nearest"]] == list(range(6))
    run_evaluate(resolved, tmp_path, views, tmp_path / "again.json")
    assert out.read_bytes() == (tmp_path / "again.json").read_bytes()


def test_too_few_views_are_refused(data: Any, resolved: SimpleNamespace, write_views: Callable, tmp_path: Path) -> None:
    views = write_views(tmp_path / "views", {seed: list(data.images[:2]) for seed in range(3)})
    with pytest.raises(UserError, match="views: 6 views; evaluation.images asks for 18 of every row"):
        run_evaluate(resolved, tmp_path, views, tmp_path / "out.json")


def test_floor_and_ceilings_are_ordered(data: Any, resolved: SimpleNamespace, tmp_path: Path) -> None:
    resolved.settings.evaluation.reference_frames = 2
    scores = {}
    for kind in ("real_floor", "real_blurred", "real_copy"):
        resolved.name = f"{kind}-disc"
        run_reference(resolved, tmp_path, None, tmp_path / f"{kind}.json")
        content = json.loads((tmp_path / f"{kind}.json").read_text())
        assert content["method"] == kind and content["n_available"] >= 16
        scores[kind] = {e["metric"]: e["value"] for e in content["entries"] if e["reference"] == "train"}
        assert ("one_image_repeated" in content) == (kind == "real_floor")
    kernel = {kind: found["kd_efficientnet_lite0"] for kind, found in scores.items()}
    assert kernel["real_copy"] < kernel["real_floor"] < kernel["real_blurred"]
    assert scores["real_copy"]["memorised"] > 0.9 > 0.2 > scores["real_floor"]["memorised"]
    assert scores["real_copy"]["nearest_rank"] == 0 and 0.3 < scores["real_floor"]["nearest_rank"] < 0.7
    for metric in ("sharpness", "sharpness_outline"):
        assert scores["real_blurred"][metric] < 0.8 * scores["real_floor"][metric]
    assert 0.8 < scores["real_floor"]["diversity"] < 1.25


def test_another_category_is_needed_and_resized(
    data: Any, resolved: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved.name = "real_other-disc"
    with pytest.raises(UserError, match="real_other: no other category; set evaluation.other_category"):
        run_reference(resolved, tmp_path, None, tmp_path / "out.json")
    run_reference(resolved, tmp_path, tmp_path / "other", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["other_category"] == "disc"


def test_reference_features_are_shared_and_follow_the_pixels(
    data: Any, resolved: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    extract = features.extract
    monkeypatch.setattr(features, "extract", lambda *a: counted.append(a[2]) or extract(*a))
    resolved.name = "real_floor-disc"
    run_reference(resolved, tmp_path, None, tmp_path / "floor.json")
    run_reference(resolved, tmp_path, None, tmp_path / "again.json")
    assert counted == [32, 16, 16, 18, 16, 18]  # the two references once, what is scored each time
    assert (tmp_path / "floor.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    data.images[0] = 255 - data.images[0]
    run_reference(resolved, tmp_path, None, tmp_path / "changed.json")
    assert counted[6:] == [32, 16, 18]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "0/000000/view_001.png").unlink(), "missing"),
        (lambda folder: (folder / "0/000000/view_001.png").write_bytes(b"\x89PNG\r\n\x1a\nshort"), "readable"),
        (lambda folder: Image.new("RGB", (20, 20)).save(folder / "0/000000/view_001.png"), "20x20"),
        (lambda folder: Image.new("L", (48, 48)).save(folder / "0/000000/view_001.png"), "mode L"),
        (lambda folder: _edit(folder, lambda c: c.update(scenes=[])), "no views"),
        (lambda folder: _edit(folder, lambda c: c.update(run="other-disc-s0")), "other-disc-s0"),
        (lambda folder: _edit(folder, lambda c: c.update(image_size=64)), "image_size is 64"),
        (lambda folder: _edit(folder, lambda c: c["scenes"].append(c["scenes"][0])), "seed 0"),
        (lambda folder: _edit(folder, lambda c: c.pop("image_size")), "image_size"),
        (lambda folder: shutil.copytree(folder / "0", folder / "1"), "seed 0"),
        (lambda folder: _edit(folder, lambda c: c["scenes"][0]["views"][0].update(T=[0, float("nan"), 1])), "finite"),
        (lambda folder: (folder / "0/cameras.json").unlink(), "no cameras.json"),
    ],
)
def test_bad_view_folders_are_refused(
    data: Any,
    resolved: SimpleNamespace,
    write_views: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    message: str | None,
) -> None:
    monkeypatch.setattr(features, "extract", lambda network, images, count, label: torch.randn(len(list(images)), 6))
    resolved.settings.evaluation.images = 4
    folder = write_views(tmp_path / "views", {seed: list(data.images[:2]) for seed in (0, 2)})
    spoil(folder)
    if message is None:
        run_evaluate(resolved, tmp_path, folder, tmp_path / "out.json")
        return
    with pytest.raises(UserError, match=message):
        run_evaluate(resolved, tmp_path, folder, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def _edit(folder: Path, change: Callable[[dict], Any]) -> None:
    content = json.loads((folder / "0/cameras.json").read_text())
    change(content)
    (folder / "0/cameras.json").write_text(json.dumps(content))
