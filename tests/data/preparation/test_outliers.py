"""Noisy sequences: wrong masks, broken cameras, worlds of any size and turn, and sequences that are bad altogether."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from holofusion.data.prepared import PreparedCategory
from holofusion.methods.poses import CameraPool

VIEWS, SIDE = 40, 160
GOOD = [f"g{number}" for number in range(6)]


def wrong_mask(kind: int, mask: np.ndarray) -> np.ndarray:
    """Everything, another place, a piece, or a speck."""
    wrong = np.zeros_like(mask)
    if kind == 0:
        wrong[:] = 255
    elif kind == 1:
        wrong[5:45, 110:150] = 255
    elif kind == 2:
        wrong[:] = mask
        wrong[:, : int(np.flatnonzero(mask.any(0)).mean()) + 8] = 0
    else:
        wrong[60:72, 30:42] = 255
    return wrong


def break_camera(kind: int, view: dict[str, Any], rng: np.random.Generator) -> None:
    """Not finite, looking anywhere, much too far, or of another lens."""
    if kind == 0:
        view["T"] = [float("nan"), 0.0, 1.0]
    elif kind == 1:
        center = -np.array(view["R"]) @ view["T"]
        view["R"] = (rotation := turn(rng)).tolist()
        view["T"] = (-center @ rotation).tolist()
    elif kind == 2:
        view["T"] = (8 * np.array(view["T"])).tolist()
    else:
        view["focal_length"] = (6 * np.array(view["focal_length"])).tolist()


def turn(rng: np.random.Generator) -> np.ndarray:
    matrix = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return matrix * np.sign(np.linalg.det(matrix))


def move_world(view: dict[str, Any], scale: float, rotation: np.ndarray, offset: np.ndarray) -> None:
    """The same photograph in a world of points `scale X rotation + offset`."""
    R, T = np.array(view["R"]), np.array(view["T"])
    view["R"] = (rotation.T @ R).tolist()
    view["T"] = (scale * T - offset @ rotation.T @ R).tolist()


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory, balls: SimpleNamespace) -> SimpleNamespace:
    """Six good sequences with 10 % wrong masks and 5 % broken cameras each, five bad ones; prepared."""
    root = tmp_path_factory.mktemp("noisy")
    rng = np.random.default_rng(3)
    ball = {"views": VIEWS, "size": (SIDE, SIDE)}
    sequences = {name: balls.Ball(radius=0.6 + 0.05 * n, **ball) for n, name in enumerate(GOOD)}
    sequences |= {name: balls.Ball(**ball) for name in ("masks", "cameras", "unfocused", "scored")}
    sequences["short"] = balls.Ball(views=4)
    folder = balls.write(root / "raw", sequences)
    truth, wrong = {}, {}
    for number, name in enumerate(GOOD):
        scale = 5 ** rng.uniform(-1, 1)
        rotation, offset = (turn(rng) if number % 2 else np.eye(3)), rng.normal(size=3) * 3
        truth[name] = (scale * np.array(sequences[name].center) @ rotation + offset, scale * sequences[name].radius)
        wrong[name] = rng.choice(VIEWS, 6, replace=False).tolist()
        for frame in sequences[name].frames:
            move_world(frame["viewpoint"], scale, rotation, offset)
        for kind, index in enumerate(wrong[name][:4]):
            path = root / "raw" / sequences[name].frames[index]["mask"]["path"]
            Image.fromarray(wrong_mask((number + kind) % 4, np.asarray(Image.open(path)))).save(path)
        for kind, index in enumerate(wrong[name][4:]):
            break_camera((number + kind) % 4, sequences[name].frames[index]["viewpoint"], rng)
    for frame in sequences["masks"].frames:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        left, top = rng.integers(0, SIDE - 40, 2)
        mask[top : top + 40, left : left + 40] = 255
        Image.fromarray(mask).save(root / "raw" / frame["mask"]["path"])
    for frame in sequences["cameras"].frames:
        R, T = balls.look_at(rng.normal(size=3) * 4, rng.normal(size=3) * 4)
        frame["viewpoint"].update(R=R.tolist(), T=T.tolist())
    for frame in sequences["unfocused"].frames[4:]:
        frame["viewpoint"]["focal_length"] = [-1.0, -1.0]
    balls.write_jgz(folder / "frame_annotations.jgz", [f for ball in sequences.values() for f in ball.frames])
    scores = [{"sequence_name": name, "viewpoint_quality_score": 0.9} for name in sequences]
    scores[-2]["viewpoint_quality_score"] = -1.2
    balls.write_jgz(folder / "sequence_annotations.jgz", scores)
    data = balls.run(root / "raw", root / "out", balls.settings(image_size=96, evaluation_cameras=64))
    facts = json.loads((root / "out" / "data.json").read_text())
    return SimpleNamespace(data=data, facts=facts, truth=truth, wrong=wrong)


def test_centres_and_scales_are_true_to_five_percent(noisy: SimpleNamespace) -> None:
    for name in GOOD:
        placed, (center, radius) = noisy.facts["normalisation"][name], noisy.truth[name]
        assert np.linalg.norm(placed["center"] - center) < 0.05 * radius, name
        assert placed["scale"] * 0.9 == pytest.approx(radius, rel=0.05), name


def test_exactly_the_wrong_frames_are_left_out_and_named(noisy: SimpleNamespace) -> None:
    said: dict[str, str] = {}
    for entry in noisy.facts["dropped"]:
        said[entry["sequence"]] = f"{said.get(entry['sequence'], '')} {entry['reason']}"
    for name in GOOD:
        assert len(noisy.data.frames[name]) == VIEWS - 6, said.get(name)
        assert all(f" {number}" in said[name] for number in noisy.wrong[name])


def test_bad_sequences_are_dropped_with_the_reason(noisy: SimpleNamespace) -> None:
    assert noisy.data.objects == GOOD
    reasons = {entry["sequence"]: entry["reason"] for entry in noisy.facts["dropped"]}
    assert "disagree" in reasons["masks"] and "cameras" in reasons["cameras"]
    assert reasons["scored"] == "viewpoint_quality_score -1.20 is below 0.5"
    assert reasons["short"].startswith("4 of 4 listed frames have a camera and a mask, 5 are needed")
    assert reasons["unfocused"].startswith("4 of 40 ") and "[-1.0, -1.0] is not positive" in reasons["unfocused"]


def test_worlds_are_upright(noisy: SimpleNamespace) -> None:
    for number, name in enumerate(GOOD):
        cameras = noisy.data.cameras[noisy.data.frames[name]]
        upward = cameras.R[:, :, 1].mean(0)
        assert upward[1] > 0.98 * upward.norm()
        assert ("rotation" in noisy.facts["normalisation"][name]) or number % 2 == 0
        if "rotation" in noisy.facts["normalisation"][name]:
            rotation = np.array(noisy.facts["normalisation"][name]["rotation"])
            assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5) and np.linalg.det(rotation) > 0


def test_the_camera_pool_is_of_one_scale_and_holds_no_outlier(noisy: SimpleNamespace) -> None:
    """Raw distances differ by a factor of twenty; normalised ones as little as the balls' sizes."""
    generators = CameraPool(40)
    generators.fill(noisy.data)
    for cameras in (noisy.data.evaluation_cameras, generators.cameras, noisy.data.turntable.cameras(24)):
        assert (cameras.project(torch.zeros(1, 3))[1] > 0).all()
        distance = cameras.centers().norm(dim=1)
        assert distance.max() < 3 * distance.min() and 4 < distance.median() < 9
        apparent = cameras.focal.mean(1) / distance
        assert apparent.min() > 0.5 and apparent.max() < 1.5
        assert cameras.project(torch.zeros(1, 3))[0].abs().max() < 0.3


def test_turned_world_gives_the_same_pictures(noisy: SimpleNamespace) -> None:
    """The ball's silhouette, rendered from the prepared cameras, is the prepared mask."""
    data: PreparedCategory = noisy.data
    for name in ("g1", "g2"):
        center, radius = noisy.truth[name]
        placed = noisy.facts["normalisation"][name]
        rotation = np.array(placed.get("rotation", np.eye(3)))
        middle = torch.tensor((center - placed["center"]) @ rotation / placed["scale"], dtype=torch.float32)
        for row in data.frames[name]:
            origins, directions = data.cameras[row].rays(96)
            away = torch.linalg.cross(directions[0], (middle - origins[0]).expand_as(directions[0])).norm(dim=1)
            inside = (away < radius / placed["scale"]).reshape(96, 96).numpy()
            mask = data.masks[row] >= 128
            assert (inside & mask).sum() > 0.96 * (inside | mask).sum()


def test_a_score_may_be_required(tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]) -> None:
    folder = balls.write(tmp_path / "raw", balls.three(views=5))
    scores = [{"sequence_name": name, "viewpoint_quality_score": 0.6} for name in ("a", "b__1", "c")]
    balls.write_jgz(folder / "sequence_annotations.jgz", scores)
    assert len(balls.run(tmp_path / "raw", tmp_path / "out", balls.settings()).objects) == 4
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(quality_required=True))
    assert data.objects == ["a", "b__1", "c"]
    (entry,) = json.loads((tmp_path / "out" / "data.json").read_text())["dropped"]
    assert entry == {"sequence": "b__2", "reason": "it has no viewpoint_quality_score"}
