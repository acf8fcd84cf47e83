"""View consistency on a ball whose every view is known in closed form: solid, edited view by view, flat, or fog."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from holofusion.cameras import Cameras, cameras_to_json, turntable
from holofusion.evaluation.consistency import agreement, depth_scores, held_out_scores
from holofusion.evaluation.static_field import fit, render
from holofusion.evaluation.warp import depth_warp
from holofusion.steps.consistency import run_consistency
from holofusion.utils.files import UserError

SIZE, VIEWS, RADIUS = 40, 16, 0.6
SETTINGS = SimpleNamespace(steps=80, rays=256, resolution=24, samples=12, learning_rate=0.3)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def ball() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Cameras]:
    """Pictures (n,3,S,S) of a coloured ball on white, opacity and distance (n,S,S), and cameras at two heights."""
    low, high = (turntable(VIEWS, elevation, 4.0, 3.0) for elevation in (5.0, 35.0))
    cameras = Cameras.cat([(low, high)[(index // 2) % 2][index] for index in range(VIEWS)])
    origins, directions = cameras.rays(SIZE)
    across = (origins * directions).sum(-1)
    inside = across**2 - origins.square().sum(-1) + RADIUS**2
    distance = -across - inside.clamp_min(0).sqrt()
    points = origins + distance[..., None] * directions
    colour = 0.5 + 0.35 * torch.sin(5 * points + torch.tensor([0.0, 1.0, 2.0]))
    hit = (inside > 0).float()
    pictures = (1 - hit[..., None] * (1 - colour)).transpose(1, 2).unflatten(2, (SIZE, SIZE))
    return pictures, hit.unflatten(1, (SIZE, SIZE)), (hit * distance).unflatten(1, (SIZE, SIZE)), cameras


def edited(pictures: torch.Tensor, alpha: torch.Tensor, strength: float) -> torch.Tensor:
    """The pictures with a pattern of colours of each view's own."""
    pattern = torch.randn((len(pictures), 3, 6, 6), generator=torch.Generator().manual_seed(1))
    pattern = torch.nn.functional.interpolate(pattern, (SIZE, SIZE), mode="bicubic")
    return (pictures + strength * pattern * alpha[:, None]).clamp(0, 1)


@pytest.mark.slow
def test_score_falls_with_the_strength_of_disagreement(ball: tuple) -> None:
    pictures, alpha, _, cameras = ball
    found = [held_out_scores(edited(pictures, alpha, s), cameras, SETTINGS, 0) for s in (0.0, 0.05, 0.12, 0.3)]
    psnr, ssim = ([each[name] for each in found] for name in ("consistency_psnr", "consistency_ssim"))
    assert psnr == sorted(psnr, reverse=True) and ssim == sorted(ssim, reverse=True)
    assert psnr[0] - psnr[-1] > 6
    # the ceiling: what the field makes of the views that it has seen
    even = cameras[range(0, VIEWS, 2)]
    field = fit(pictures[::2], even, SETTINGS, 0)
    ceiling = agreement(render(field, even, SIZE, 2 * SETTINGS.samples)[0], pictures[::2])[0]
    assert ceiling - 3 < psnr[0] < ceiling + 1
    assert held_out_scores(pictures, cameras, SETTINGS, 0) == found[0]


def test_views_that_are_scored_are_not_fitted(ball: tuple) -> None:
    pictures, _, _, cameras = ball
    other = pictures.clone()
    other[1::2] = other[1::2].flip(1)  # red and blue change places in the odd views alone
    right, wrong = (held_out_scores(each, cameras, SETTINGS, 0)["consistency_psnr"] for each in (pictures, other))
    assert wrong < right - 4


def test_agreement_is_over_the_object_alone() -> None:
    white, first = torch.ones((1, 3, 20, 20)), torch.ones((1, 3, 20, 20))
    first[..., 5:10, 5:10] = 0.5
    second = first.clone()
    second[..., 5:10, 5:10] = 0.6
    assert agreement(first, second)[0] == pytest.approx(20.0, abs=1e-4)  # an error of 0.1 on every pixel of it
    assert agreement(first, white)[0] == pytest.approx(
        -10 * np.log10(0.25), abs=1e-4
    )  # nothing there: not a good score
    assert agreement(first, first) == (60.0, pytest.approx(1.0))
    assert agreement(white, white) == (0.0, 0.0)


def test_depth_warp_is_small_on_the_solid_ball_alone(ball: tuple) -> None:
    pictures, alpha, depth, cameras = ball
    error, share = depth_warp(pictures, alpha, depth, cameras)
    assert error < 0.02 and 0.4 < share < 1
    errors = [depth_warp(edited(pictures, alpha, s), alpha, depth, cameras)[0] for s in (0.0, 0.05, 0.15)]
    assert errors[0] == error and errors == sorted(errors) and errors[2] > 5 * error
    wrong = torch.where(alpha > 0, torch.full_like(depth, 4.0), depth)  # a card through the middle
    flat, seen = depth_warp(pictures, alpha, wrong, cameras)
    assert flat > 3 * error or seen < 0.2


def test_flat_cards_and_fog_show(ball: tuple) -> None:
    pictures, alpha, depth, cameras = ball
    solid = depth_scores(pictures, alpha, depth, cameras)
    assert 0.05 < solid["depth_spread"] < RADIUS and solid["translucency"] == 0
    flat = depth_scores(pictures, alpha, torch.where(alpha > 0, torch.full_like(depth, 4.0), depth), cameras)
    assert flat["depth_spread"] < 1e-5
    fog = depth_scores(pictures, alpha * 0.5, depth, cameras)
    assert fog["translucency"] == pytest.approx(1.0)
    half = torch.tensor([[[1.0, 1.0], [0.9, 0.0]]])
    hand = depth_scores(torch.ones((1, 3, 2, 2)), half, torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]), cameras[0])
    assert hand["depth_spread"] == pytest.approx(1.0) and hand["translucency"] == pytest.approx(0.36 / 3)


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
def resolved(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    data = SimpleNamespace(load=lambda folder: SimpleNamespace(image_size=SIZE))
    monkeypatch.setattr("holofusion.steps.consistency.PreparedCategory", data)
    consistency = SimpleNamespace(steps=8, rays=64, resolution=16, samples=8, learning_rate=0.3)
    settings = SimpleNamespace(consistency=consistency, intervals=SimpleNamespace(replicates=10))
    return SimpleNamespace(method="holofusion", category="ball", seed=0, hash="abc", settings=settings)


def test_same_views_same_bytes(ball: tuple, resolved: SimpleNamespace, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "views", ball)
    for name in ("one.json", "two.json"):
        run_consistency(resolved, tmp_path, folder, tmp_path / name, CPU)
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


def test_pictures_made_elsewhere_have_no_depth(ball: tuple, resolved: SimpleNamespace, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "views", ball, key="views")
    content = json.loads((folder / "0/cameras.json").read_text())
    for view in content["scenes"][0]["views"]:
        del view["depth"]
    (folder / "0/cameras.json").write_text(json.dumps(content))
    run_consistency(resolved, tmp_path, folder, tmp_path / "out.json", CPU)
    assert len(json.loads((tmp_path / "out.json").read_text())["entries"]) == 2
    run_consistency(resolved, tmp_path, folder / "0", tmp_path / "alone.json", CPU)  # one shard, named itself
    assert (tmp_path / "alone.json").read_bytes() == (tmp_path / "out.json").read_bytes()
    few = write_run(tmp_path / "few", ball, key="views", views=7)
    run_consistency(resolved, tmp_path, few, tmp_path / "few.json", CPU)
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
    ball: tuple, resolved: SimpleNamespace, tmp_path: Path, file: str, content: object, message: str
) -> None:
    path = write_run(tmp_path / "views", ball) / "0" / file
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content.save(path)
    with pytest.raises(UserError, match=message):
        run_consistency(resolved, tmp_path, tmp_path / "views", tmp_path / "out.json", CPU)
    assert not (tmp_path / "out.json").exists()


def test_cameras_that_look_past_the_objects_are_named(ball: tuple, resolved: SimpleNamespace, tmp_path: Path) -> None:
    pictures, alpha, depth, cameras = ball
    away = Cameras(cameras.R, cameras.T + torch.tensor([50.0, 0, 0]), cameras.focal, cameras.principal)
    folder = write_run(tmp_path / "views", (pictures, alpha, depth, away))
    with pytest.raises(UserError, match=r"0/cameras.json: seed 3: no view looks at the cube"):
        run_consistency(resolved, tmp_path, folder, tmp_path / "out.json", CPU)
