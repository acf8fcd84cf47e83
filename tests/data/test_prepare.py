"""Preparation against analytic spheres: crops, cameras that follow, centre and scale, split, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from holofusion.cameras import Cameras
from holofusion.data.prepare import draw_cameras, prepare, typical_turn
from holofusion.data.selection import split_objects
from holofusion.data.views import PreparedCategory
from holofusion.files import UserError


def run(root: Path, out: Path, settings: SimpleNamespace, workers: int = 1) -> PreparedCategory:
    prepare(settings, "ball", 0, root, out, "hash", workers)
    return PreparedCategory.load(out)


def three(balls: SimpleNamespace, **changes: object) -> dict:
    """Three objects of different size, four sequences: `b` was photographed twice."""
    radii = {"a": 0.8, "b__1": 0.7, "b__2": 0.75, "c": 0.65}
    return {name: balls.Ball(radius=radius, **changes) for name, radius in radii.items()}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("size", [(72, 96), (90, 60)])
def test_a_point_keeps_its_place_in_the_picture(
    tmp_path: Path, balls: SimpleNamespace, size: tuple[int, int], legacy: bool
) -> None:
    dot = (0.45, -0.1, 0.6)
    names = ("a", "b", "c")
    balls.write(tmp_path / "raw", {n: balls.Ball(size=size, dot=dot, legacy=legacy) for n in names})
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings())
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]
    row, column = np.mgrid[:48, :48] + 0.5
    for name in names:
        point = (torch.tensor(dot) - torch.tensor(facts[name]["center"])) / facts[name]["scale"]
        for index in data.frames[name]:
            red = data.images[index, ..., 0].astype(float) * (data.masks[index] > 250)
            weight = np.where(red > 60, red, 0.0)
            found = np.array([(column * weight).sum(), (row * weight).sum()]) / weight.sum()
            expected = (1 - data.cameras[index].project(point[None])[0][0, 0].numpy()) * 24
            assert np.abs(found - expected).max() < 0.5


def test_crop_is_square_on_white_with_the_rim_asked_for(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", three(balls))
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings(context=0.5))
    for image, mask in zip(data.images, data.masks, strict=True):
        assert (image[mask == 0] > 250).all()
        inside = mask >= 128
        box = [np.ptp(np.flatnonzero(inside.any(axis))) + 1 for axis in (0, 1)]
        assert max(box) == pytest.approx(48 / 1.5, abs=1.01)
        middle = [np.flatnonzero(inside.any(axis))[[0, -1]].mean() for axis in (0, 1)]
        assert middle == pytest.approx([23.5, 23.5], abs=1.01)


def test_sphere_gets_its_centre_and_scale(tmp_path: Path, balls: SimpleNamespace) -> None:
    ball = balls.Ball(views=16, size=(160, 160))
    balls.write(tmp_path / "raw", {name: ball for name in ("a", "b", "c")})
    run(tmp_path / "raw", tmp_path / "out", balls.settings(image_size=96))
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]["a"]
    assert facts["center"] == pytest.approx(ball.center, abs=0.04 * ball.radius)
    assert facts["scale"] * 0.9 == pytest.approx(ball.radius, rel=0.05)


def test_rays_of_the_object_meet_the_cube(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", three(balls))
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings())
    for index in range(len(data.cameras)):
        pixels = torch.from_numpy(np.flatnonzero(data.masks[index] >= 128))
        origins, directions = data.cameras[index].rays(48, pixels)
        near, far = (-1 - origins) / directions, (1 - origins) / directions
        assert (torch.minimum(near, far).amax(-1) < torch.maximum(near, far).amin(-1)).all()


def test_object_cut_by_the_border_is_kept_and_normalised(tmp_path: Path, balls: SimpleNamespace) -> None:
    """A long lens cuts most views of the sphere somewhere; each part is still seen in most of them."""
    ball = balls.Ball(views=20, size=(120, 120), focal=4.9)
    folder = balls.write(tmp_path / "raw", {name: ball for name in ("a", "b", "c")})
    masks = [np.asarray(Image.open(path)) for path in sorted((folder / "a" / "masks").iterdir())]
    cut = sum(bool(m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any()) for m in masks)
    assert 4 <= cut < 20
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings())
    facts = json.loads((tmp_path / "out" / "data.json").read_text())["normalisation"]["a"]
    assert len(data.frames["a"]) == 20
    assert facts["center"] == pytest.approx(ball.center, abs=0.1 * ball.radius)
    assert facts["scale"] * 0.9 == pytest.approx(ball.radius, rel=0.12)


def test_result_does_not_depend_on_workers(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", three(balls))
    run(tmp_path / "raw", tmp_path / "one", balls.settings(), workers=1)
    run(tmp_path / "raw", tmp_path / "two", balls.settings(), workers=2)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 7
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_frames_are_capped_evenly_and_an_old_folder_is_replaced(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", three(balls, views=9))
    whole = run(tmp_path / "raw", tmp_path / "out", balls.settings())
    every = np.array(whole.images[whole.frames["c"]])
    capped = run(tmp_path / "raw", tmp_path / "out", balls.settings(max_frames=5))
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
    sequences = three(balls)
    sequences["c"].split = "test"
    balls.write(tmp_path / "raw", sequences)
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings(held_out=2))
    assert data.train == ["a", "b__1", "b__2"] and data.held_out == ["c"]
    assert data.object_of == {"a": "a", "b__1": "b", "b__2": "b", "c": "c"}


def test_too_few_objects_is_an_error(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", three(balls, views=5))
    with pytest.raises(UserError, match="dataset.held_out: .* at least 4, there are 3"):
        run(tmp_path / "raw", tmp_path / "out", balls.settings(held_out=2))


def test_evaluation_cameras_are_training_cameras_each_used_equally(tmp_path: Path, balls: SimpleNamespace) -> None:
    balls.write(tmp_path / "raw", three(balls))
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings(evaluation_cameras=50))
    rows = [row for name in data.train for row in data.frames[name]]
    distance = (data.evaluation_cameras.T[:, None] - data.cameras.T[rows][None]).abs().amax(-1)
    assert (distance.amin(1) == 0).all()
    counts = torch.bincount(distance.argmin(1), minlength=len(rows))
    assert len(data.evaluation_cameras) == 50 and counts.max() - counts.min() <= 1
    again, other = (draw_cameras(data.cameras[rows], 50, seed) for seed in (0, 1))
    assert torch.equal(again.T, data.evaluation_cameras.T) and not torch.equal(other.T, again.T)


@pytest.mark.parametrize("up", [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.6, -0.8, 0.0)])
def test_turntable_follows_the_data(balls: SimpleNamespace, up: tuple[float, float, float]) -> None:
    from holofusion.cameras import turntable

    pool = turntable(10, 25.0, 4.0, 2.2, up=up)
    ours = typical_turn(pool)
    assert len(ours) == 24
    assert ours.centers().norm(dim=1) == pytest.approx(np.full(24, 4.0), abs=1e-4)
    assert (ours.centers() @ torch.tensor(up)).numpy() == pytest.approx(
        np.full(24, 4 * np.sin(np.pi * 25 / 180)), abs=1e-3
    )
    assert ours.focal.numpy() == pytest.approx(np.full((24, 2), 2.2), abs=1e-4)


def test_useless_sequences_are_dropped_with_the_reason(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    sequences = three(balls) | {f"x{k}": balls.Ball() for k in range(5)} | {"y": balls.Ball(views=4)}
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
    data = run(tmp_path / "raw", tmp_path / "out", balls.settings())
    assert data.objects == ["a", "b__1", "b__2", "c"] and len(data.frames["c"]) == 7
    dropped = json.loads((tmp_path / "out" / "data.json").read_text())["dropped"]
    reasons = {entry["sequence"]: entry["reason"] for entry in dropped}
    printed = capsys.readouterr().err
    assert set(reasons) == {"x0", "x1", "x2", "x3", "x4", "y", "c"}
    assert all(reason in printed for reason in reasons.values())
    assert reasons["x0"].startswith("0 of 8 listed frames have a camera and a mask") and "4 of 4" in reasons["y"]
    assert "same way" in reasons["x3"] and "0.10" in reasons["x4"] and "1 of 8" in reasons["c"]


def test_a_category_without_cameras_is_an_error(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    root = shared_data("pytorch3d_random_co3dv2")
    settings = SimpleNamespace(dataset=SimpleNamespace(subset="test", max_frames=48))
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
    folder = balls.write(tmp_path / "raw", three(balls, views=5))
    damage(folder / "b__2" / kind / "frame000003.png")
    (tmp_path / "new").mkdir()
    with pytest.raises(UserError, match=rf"b__2/{kind}/frame000003\.png: {message}"):
        run(tmp_path / "raw", tmp_path / "new" / "out", balls.settings(), workers)
    assert not list((tmp_path / "new").iterdir())


def test_truncated_jpeg_is_refused(tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]) -> None:
    folder = balls.write(tmp_path / "raw", three(balls, views=5))
    path = folder / "a" / "images" / "frame000001.jpg"
    Image.open(path.with_suffix(".png")).save(path, quality=95)
    truncate(path)
    edit_frames(folder, lambda frames: frames[1]["image"].update(path="ball/a/images/frame000001.jpg"))
    with pytest.raises(UserError, match=r"frame000001\.jpg: image cannot be read .*truncated"):
        run(tmp_path / "raw", tmp_path / "out", balls.settings())


def test_camera_with_nan_is_named_and_an_older_result_survives(
    tmp_path: Path, balls: SimpleNamespace, edit_frames: Callable[..., None]
) -> None:
    folder = balls.write(tmp_path / "raw", three(balls, views=5))
    before = run(tmp_path / "raw", tmp_path / "new" / "out", balls.settings()).images.copy()
    edit_frames(folder, lambda frames: frames[7]["viewpoint"].update(T=[float("nan")] * 3))
    with pytest.raises(UserError, match=r"frame_annotations\.jgz: sequence b__1 frame 2: .*NaN"):
        run(tmp_path / "raw", tmp_path / "new" / "out", balls.settings())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    assert np.array_equal(PreparedCategory.load(tmp_path / "new" / "out").images, before)


def test_real_photographs_are_centred(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    """The genuine CO3D video: the cube's centre projects near the middle of the apple in every frame."""
    from holofusion.data.co3d import frame_cameras, read_category
    from holofusion.data.normalise import make_sequence

    annotations = read_category(shared_data("co3d_apple20"), "apple")
    frames = annotations.frames["posediffusion_apple"]
    cameras: Cameras = frame_cameras(frames, annotations.frame_file)
    result = make_sequence(frames, cameras, 64, 0.4, 0.1, 0.1)
    middle = result.cameras.project(torch.zeros(1, 3))[0][:, 0]
    assert middle.abs().max() < 0.25
    visible = result.cameras.focal.mean(1) / result.cameras.centers().norm(dim=1)
    assert 0.7 < visible.median() < 1.4
