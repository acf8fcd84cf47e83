"""The step `consistency`: the same bytes each time, views made elsewhere, and what is wrong by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from holofusion.cameras import Cameras, cameras_to_json
from holofusion.config.evaluation import Consistency, Intervals
from holofusion.config.steps import ConsistencySettings
from holofusion.evaluation.consistency import depth_scores
from holofusion.pipeline.job import Resolved
from holofusion.steps import consistency
from holofusion.utils.files import UserError
from tests.balls import SIZE, ball_views
from tests.jobs import job_of


@pytest.fixture(scope="module")
def ball() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Cameras]:
    return ball_views()


def write_run(folder: Path, ball: tuple, key: str = "consistency", views: int = 8) -> Path:
    """Views of one scene, as render writes them, with depth and opacity."""
    pictures, alpha, depth, cameras = ball
    (folder / "0").mkdir(parents=True)
    entries = []
    for index, camera in enumerate(cameras_to_json(cameras[range(views)])):
        names = {name: f"{name}_{index}.png" for name in ("file", "alpha", "depth")}
        Image.fromarray((pictures[index].permute(1, 2, 0) * 255).round().byte().numpy()).save(
            folder / "0" / names["file"]
        )
        Image.fromarray((alpha[index] * 255).byte().numpy()).save(folder / "0" / names["alpha"])
        Image.fromarray((depth[index] * 10000).round().numpy().astype(np.uint16)).save(folder / "0" / names["depth"])
        entries.append({**names, "depth_unit": 1e-4, **camera})
    scene = {"seed": 3, "views": entries[:1], "turntable": [], key: entries}
    content = {"convention": "pytorch3d_ndc", "image_size": SIZE, "run": "holofusion-ball-s0", "scenes": [scene]}
    (folder / "0" / "cameras.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path, str], None]:
    """A function that scores the views in a folder and writes a file of that name to tmp_path."""
    data = SimpleNamespace(load=lambda folder: SimpleNamespace(image_size=SIZE))
    monkeypatch.setattr("holofusion.steps.consistency.PreparedCategory", data)
    section = Consistency(steps=8, rays=64, resolution=16, samples=8, learning_rate=0.3)
    settings = ConsistencySettings(consistency=section, intervals=Intervals(replicates=10))
    resolved = Resolved("consistency", "holofusion-ball-s0", "holofusion", "ball", 0, "abc", settings)

    def score(views: Path, name: str) -> None:
        consistency.run(job_of(resolved, tmp_path / name, data=tmp_path, views=views))

    return score


def test_same_views_same_bytes(ball: tuple, scoring: Callable, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "views", ball)
    for name in ("one.json", "two.json"):
        scoring(folder, name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    found = json.loads((tmp_path / "one.json").read_text())
    assert [entry["metric"] for entry in found["entries"]] == [
        "consistency_psnr",
        "consistency_ssim",
        "depth_warp",
        "depth_warp_seen",
        "depth_spread",
        "translucency",
    ]
    spread = depth_scores(ball[0][:8], ball[1][:8], ball[2][:8], ball[3][range(8)])["depth_spread"]
    assert found["entries"][4]["value"] == pytest.approx(spread, abs=1e-3)  # 16-bit depth comes back in world units


def test_pictures_made_elsewhere_have_no_depth(ball: tuple, scoring: Callable, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "views", ball, key="views")
    content = json.loads((folder / "0/cameras.json").read_text())
    for view in content["scenes"][0]["views"]:
        del view["depth"]
    (folder / "0/cameras.json").write_text(json.dumps(content))
    scoring(folder, "out.json")
    assert len(json.loads((tmp_path / "out.json").read_text())["entries"]) == 2
    scoring(folder / "0", "alone.json")  # one shard, named itself
    assert (tmp_path / "alone.json").read_bytes() == (tmp_path / "out.json").read_bytes()
    few = write_run(tmp_path / "few", ball, key="views", views=7)
    scoring(few, "few.json")
    assert json.loads((tmp_path / "few.json").read_text())["entries"] == []


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("file_1.png", None, "file_1.png: listed in cameras.json but missing"),
        ("file_1.png", b"no picture", "file_1.png: not a readable PNG"),
        ("depth_1.png", b"no picture", "depth_1.png: not a readable PNG"),
        ("alpha_1.png", Image.new("L", (9, 9)), "alpha_1.png: .* expected a grey picture of 40x40 pixels"),
    ],
)
def test_unusable_pictures_are_named(
    ball: tuple, scoring: Callable, tmp_path: Path, file: str, content: object, message: str
) -> None:
    path = write_run(tmp_path / "views", ball) / "0" / file
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content.save(path)
    with pytest.raises(UserError, match=message):
        scoring(tmp_path / "views", "out.json")
    assert not (tmp_path / "out.json").exists()


def test_cameras_that_look_past_the_objects_are_named(ball: tuple, scoring: Callable, tmp_path: Path) -> None:
    pictures, alpha, depth, cameras = ball
    away = Cameras(cameras.R, cameras.T + torch.tensor([50.0, 0, 0]), cameras.focal, cameras.principal)
    folder = write_run(tmp_path / "views", (pictures, alpha, depth, away))
    with pytest.raises(UserError, match=r"0/cameras.json: seed 3: no view looks at the cube"):
        scoring(folder, "out.json")
