"""Preparation: split, frozen cameras, what is dropped and why, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from holofusion.cameras import turntable
from holofusion.data.preparation.evaluation_cameras import draw_cameras, typical_orbit
from holofusion.data.preparation.prepare import prepare
from holofusion.data.preparation.selection import split_objects
from holofusion.data.prepared import PreparedCategory
from holofusion.utils.files import UserError


def test_result_does_not_depend_on_workers(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three())
    balls.run(tmp_path / "raw", tmp_path / "one", balls.settings(), workers=1)
    balls.run(tmp_path / "raw", tmp_path / "two", balls.settings(), workers=2)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 8
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_frames_are_capped_evenly_and_an_old_folder_is_replaced(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three(views=9))
    whole = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    every = np.array(whole.images[whole.frames["c"]])
    capped = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(max_frames=5))
    assert len(capped.frames["c"]) == 5
    assert np.array_equal(capped.images[capped.frames["c"]], every[::2])


@pytest.mark.parametrize("seed", range(8))
def test_drawn_split_shares_no_object(seed: int) -> None:
    names = [f"{thing}__{turn}" for thing in "abcdef" for turn in range(3)]
    train, held_out = split_objects(names, set(names), 2, seed)
    assert sorted(train + held_out) == sorted(names)
    things = [{name.split("__")[0] for name in part} for part in (train, held_out)]
    assert not things[0] & things[1] and len(things[1]) == 2
    assert split_objects(names, set(names), 2, seed) == (train, held_out)
    assert any(split_objects(names, set(names), 2, other)[1] != held_out for other in range(8))


def test_listed_split_shares_no_object() -> None:
    names = ["a__1", "a__2", "b__1", "c", "d"]
    assert split_objects(names, {"a__1", "b__1", "c"}, 1, 0) == (["a__1", "a__2", "b__1", "c"], ["d"])


def test_set_list_decides_what_is_held_out(tmp_path: Path, balls: SimpleNamespace) -> None:
    sequences = balls.three()
    sequences["c"].split = "test"
    balls.write(tmp_path / "raw", sequences)
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(held_out=2))
    assert data.train == ["a", "b__1", "b__2"] and data.held_out == ["c"]
    assert data.object_of == {"a": "a", "b__1": "b", "b__2": "b", "c": "c"}


def test_too_few_objects_is_an_error(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three(views=5))
    with pytest.raises(UserError, match="dataset.held_out: .* at least 4, there are 3"):
        balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(held_out=2))


def test_evaluation_cameras_are_training_cameras_each_used_equally(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", balls.three())
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings(evaluation_cameras=50))
    rows = [row for name in data.train for row in data.frames[name]]
    distance = (data.evaluation_cameras.T[:, None] - data.cameras.T[rows][None]).abs().amax(-1)
    assert (distance.amin(1) == 0).all()
    counts = torch.bincount(distance.argmin(1), minlength=len(rows))
    assert len(data.evaluation_cameras) == 50 and counts.max() - counts.min() <= 1
    again, other = (draw_cameras(data.cameras[rows], 50, seed) for seed in (0, 1))
    assert torch.equal(again.T, data.evaluation_cameras.T) and not torch.equal(other.T, again.T)


def test_turntable_follows_the_data() -> None:
    ours = typical_orbit(turntable(10, 25.0, 4.0, 2.2)).cameras(24)
    assert len(ours) == 24
    assert ours.centers().norm(dim=1) == pytest.approx(np.full(24, 4.0), abs=1e-4)
    assert ours.centers()[:, 1].numpy() == pytest.approx(np.full(24, 4 * np.sin(np.pi * 25 / 180)), abs=1e-3)
    assert ours.focal.numpy() == pytest.approx(np.full((24, 2), 2.2), abs=1e-4)


def test_a_turn_has_as_many_different_frames_as_are_asked_for() -> None:
    turn = typical_orbit(turntable(10, 25.0, 4.0, 2.2))
    assert len(np.unique(turn.cameras(48).centers().numpy().round(4), axis=0)) == 48


def test_useless_sequences_are_dropped_with_the_reason(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    sequences = balls.three() | {f"x{k}": balls.Ball() for k in range(5)} | {"y": balls.Ball(views=4)}
    folder = balls.write(tmp_path / "raw", sequences)
    rng = np.random.default_rng(0)

    def change(frames: list) -> None:
        for frame in frames:
            if frame["sequence_name"] == "x0":
                frame["viewpoint"] = None
            if frame["sequence_name"] == "x1":
                frame["mask"] = None
            if frame["sequence_name"] == "x2":  # cameras that have nothing to do with the pictures
                R, T = balls.look_at(rng.normal(size=3) * 4, rng.normal(size=3) * 4)
                frame["viewpoint"].update(R=R.tolist(), T=T.tolist())
            if frame["sequence_name"] == "x3":
                frame.update({key: frames[0][key] for key in ("image", "mask", "viewpoint")})
            if frame["sequence_name"] == "c" and frame["frame_number"] == 2:
                Image.new("L", (96, 72)).save(tmp_path / "raw" / frame["mask"]["path"])

    edit_frames(folder, change)
    scores = [{"sequence_name": "x4", "viewpoint_quality_score": 0.1}]
    balls.write_jgz(folder / "sequence_annotations.jgz", scores)
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    assert data.objects == ["a", "b__1", "b__2", "c"] and len(data.frames["c"]) == 7
    dropped = json.loads((tmp_path / "out" / "data.json").read_text())["dropped"]
    reasons = {entry["sequence"]: entry["reason"] for entry in dropped}
    printed = capsys.readouterr().err
    assert set(reasons) == {"x0", "x1", "x2", "x3", "x4", "y", "c"}
    assert all(reason in printed for reason in reasons.values())
    assert reasons["x0"].startswith("0 of 8 listed frames have a camera and a mask") and "4 of 4" in reasons["y"]
    assert "same way" in reasons["x3"] and "0.10" in reasons["x4"] and "1 of 8" in reasons["c"]


def test_a_category_without_cameras_is_an_error(
    tmp_path: Path, balls: SimpleNamespace, shared_data: Callable[[str], Path]
) -> None:
    root = shared_data("pytorch3d_random_co3dv2")
    settings = balls.settings(subset="test")
    with pytest.raises(UserError, match="no usable sequence; A0: 0 of "):
        prepare(settings, "A", 0, root, tmp_path / "out", "hash", 1)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_mask(path: Path) -> None:
    Image.new("L", (10, 10), 255).save(path)


@pytest.mark.parametrize(
    ("kind", "damage", "message", "workers"),
    [
        ("images", truncate, "image cannot be read", 1),
        ("masks", break_mask, "mask is 10x10 pixels, its image frame000003.png 96x72", 2),
        ("images", Path.unlink, "no such image file", 1),
    ],
)
def test_broken_picture_is_named_and_nothing_is_left(
    tmp_path: Path, balls: SimpleNamespace, kind: str, damage: Callable[[Path], None], message: str, workers: int
) -> None:
    folder = balls.write(tmp_path / "raw", balls.three(views=5))
    damage(folder / "b__2" / kind / "frame000003.png")
    (tmp_path / "new").mkdir()
    with pytest.raises(UserError, match=rf"b__2/{kind}/frame000003\.png: {message}"):
        balls.run(tmp_path / "raw", tmp_path / "new" / "out", balls.settings(), workers)
    assert [path.name[:5] for path in (tmp_path / "new").iterdir()] == [".out-"]  # what was finished


def test_truncated_jpeg_is_refused(tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]) -> None:
    folder = balls.write(tmp_path / "raw", balls.three(views=5))
    path = folder / "a" / "images" / "frame000001.jpg"
    Image.open(path.with_suffix(".png")).save(path, quality=95)
    truncate(path)
    edit_frames(folder, lambda frames: frames[1]["image"].update(path="ball/a/images/frame000001.jpg"))
    with pytest.raises(UserError, match=r"frame000001\.jpg: image cannot be read .*truncated"):
        balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())


def test_broken_cameras_are_left_out_and_named(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]
) -> None:
    folder = balls.write(tmp_path / "raw", balls.three())

    def change(frames: list) -> None:
        frames[9]["viewpoint"].update(T=[float("nan")] * 3)  # b__1, frame 1
        frames[10]["viewpoint"].update(R=np.diag([1.0, 1.0, -1.0]).tolist())
        frames[11]["viewpoint"].update(focal_length=[1e4, 1e4])

    edit_frames(folder, change)
    data = balls.run(tmp_path / "raw", tmp_path / "out", balls.settings())
    assert [len(data.frames[name]) for name in data.objects] == [8, 5, 8, 8]
    (entry,) = json.loads((tmp_path / "out" / "data.json").read_text())["dropped"]
    assert entry["sequence"] == "b__1" and entry["reason"].startswith("kept, but for 3 of 8 frames: ")
    for said in ("NaN or infinity) (frame 1)", "not a rotation (frame 2)", "10000.0] is not within 0.2 and 100.0"):
        assert said in entry["reason"]


def test_a_failed_run_leaves_an_older_result(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]
) -> None:
    folder = balls.write(tmp_path / "raw", balls.three(views=5))
    before = balls.run(tmp_path / "raw", tmp_path / "new" / "out", balls.settings()).images.copy()
    edit_frames(folder, lambda frames: frames[7]["viewpoint"].update(T=[1.0]))
    with pytest.raises(UserError, match=r"frame_annotations\.jgz: sequence b__1 frame 2: viewpoint needs"):
        balls.run(tmp_path / "raw", tmp_path / "new" / "out", balls.settings())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    assert np.array_equal(PreparedCategory.load(tmp_path / "new" / "out").images, before)
