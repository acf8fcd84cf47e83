"""The steps `evaluate` and `reference`: counts, intervals, shared features, and refusals."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from holofusion.config.evaluation import Evaluation, Intervals
from holofusion.config.steps import EvaluateSettings
from holofusion.evaluation import features
from holofusion.pipeline.job import Job, Resolved
from holofusion.steps import evaluate, reference
from holofusion.utils.files import UserError
from tests.discs import write_views
from tests.jobs import job_of

EVALUATION = Evaluation(
    images=18,
    feature_network="efficientnet_lite0",
    inception_weights=None,
    other_category=None,
    kernel_subset_size=100,
    kernel_subsets=5,
    reference_frames=4,
)


def settings_with(**changed: int) -> EvaluateSettings:
    return EvaluateSettings(evaluation=EVALUATION.model_copy(update=changed), intervals=Intervals(replicates=50))


def scoring(views: Path, out: Path, **changed: int) -> Job[EvaluateSettings]:
    """The job that scores views of one run."""
    name = "holofusion-disc-s0"
    resolved = Resolved("evaluate", name, "holofusion", "disc", 0, "abc", settings_with(**changed))
    return job_of(resolved, out, data=out.parent, views=views)


def real(kind: str, out: Path, other: Path | None = None, **changed: int) -> Job[EvaluateSettings]:
    """The job that scores real images."""
    resolved = Resolved("reference", f"{kind}-disc", None, "disc", 0, "abc", settings_with(**changed))
    return job_of(resolved, out, data=out.parent, other=other)


def noisy(image: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(int(image.sum())).normal(0, strength, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


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


def test_run_writes_counts_intervals_and_network(data: Any, tmp_path: Path) -> None:
    scenes = {seed: [noisy(data.images[4 * seed + frame], 0.5) for frame in range(4)] for seed in range(6)}
    out, views = tmp_path / "metrics" / "run.json", write_views(tmp_path / "views", scenes)
    evaluate.run(scoring(views, out))
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
    evaluate.run(scoring(views, tmp_path / "again.json"))
    assert out.read_bytes() == (tmp_path / "again.json").read_bytes()


def test_too_few_views_are_refused(data: Any, tmp_path: Path) -> None:
    views = write_views(tmp_path / "views", {seed: list(data.images[:2]) for seed in range(3)})
    with pytest.raises(UserError, match="views: 6 views; evaluation.images asks for 18 of every row"):
        evaluate.run(scoring(views, tmp_path / "out.json"))


def test_floor_and_ceilings_are_ordered(data: Any, tmp_path: Path) -> None:
    scores = {}
    for kind in ("real_floor", "real_blurred", "real_copy"):
        reference.run(real(kind, tmp_path / f"{kind}.json", reference_frames=2))
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


def test_another_category_is_needed_and_resized(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="real_other: no other category; set evaluation.other_category"):
        reference.run(real("real_other", tmp_path / "out.json"))
    reference.run(real("real_other", tmp_path / "out.json", tmp_path / "other"))
    assert json.loads((tmp_path / "out.json").read_text())["other_category"] == "disc"


def test_reference_features_are_shared_and_follow_the_pixels(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    extract = features.extract
    monkeypatch.setattr(features, "extract", lambda *a: counted.append(a[2]) or extract(*a))
    reference.run(real("real_floor", tmp_path / "floor.json"))
    reference.run(real("real_floor", tmp_path / "again.json"))
    assert counted == [32, 16, 16, 18, 16, 18]  # the two references once, what is scored each time
    assert (tmp_path / "floor.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    data.images[0] = 255 - data.images[0]
    reference.run(real("real_floor", tmp_path / "changed.json"))
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    message: str | None,
) -> None:
    monkeypatch.setattr(features, "extract", lambda network, images, count, label: torch.randn(len(list(images)), 6))
    folder = write_views(tmp_path / "views", {seed: list(data.images[:2]) for seed in (0, 2)})
    spoil(folder)
    if message is None:
        evaluate.run(scoring(folder, tmp_path / "out.json", images=4))
        return
    with pytest.raises(UserError, match=message):
        evaluate.run(scoring(folder, tmp_path / "out.json", images=4))
    assert not (tmp_path / "out.json").exists()


def _edit(folder: Path, change: Callable[[dict], Any]) -> None:
    content = json.loads((folder / "0/cameras.json").read_text())
    change(content)
    (folder / "0/cameras.json").write_text(json.dumps(content))
