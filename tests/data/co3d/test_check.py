"""Looking through folders in CO3D layout: sound ones pass with the figures they were made with, broken ones are told why."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from holofusion.cameras import normalise, turntable
from holofusion.cli.main import app
from holofusion.data.co3d.camera_paths import turn_of
from holofusion.data.co3d.check import check, check_category
from holofusion.utils.files import UserError


@pytest.fixture
def root(tmp_path: Path, balls) -> Path:
    """One category `ball` of four sequences, eight frames each."""
    balls.write(tmp_path, balls.three())
    return tmp_path


def check_balls(root: Path, subset: str | None = "fewview_dev", thorough: bool = False):
    return check_category(root, "ball", subset, thorough)


def test_a_sound_folder(root: Path, capsys) -> None:
    assert check(root, subset="fewview_dev", thorough=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["ball", "4", "4", "32", "96x72"] and "2.40" in lines[1]
    assert lines[-1] == "ball: usable" and len(lines) == 4


@pytest.mark.parametrize("up", [(0.0, 1.0, 0.0), (0.3, -0.5, 0.8)])
def test_figures_of_a_turn(up: tuple[float, float, float]) -> None:
    cameras = turntable(12, 25.0, 3.0, 2.0, up)[list(range(9))]
    turn = turn_of(normalise(cameras, [4.0, -2.0, 1.0], 0.5))
    assert torch.allclose(turn.distance, torch.tensor(6.0), atol=1e-3)
    assert torch.allclose(turn.elevation, torch.tensor(25.0), atol=0.05)
    assert turn.covered == pytest.approx(240, abs=0.05)


def test_missing_files(root: Path) -> None:
    for path in ("a/images/frame000003.png", "c/masks/frame000001.png"):
        (root / "ball" / path).unlink()
    assert check_balls(root).problems == [
        f"{root}/ball/{path}: no such file, though the annotations name it"
        for path in ("a/images/frame000003.png", "c/masks/frame000001.png")
    ]


def test_a_truncated_image_is_found_by_a_thorough_look(root: Path) -> None:
    path = root / "ball/a/images/frame000001.png"
    path.write_bytes(path.read_bytes()[:200])
    assert check_balls(root).problems == []
    (problem,) = check_balls(root, thorough=True).problems
    assert problem.startswith(f"{path}: image cannot be read (")


def test_a_mask_of_another_size(root: Path) -> None:
    (root / "ball/a/masks/frame000000.png").write_bytes((root / "ball/a/images/frame000000.png").read_bytes())
    assert check_balls(root).problems == []
    Image.new("L", (10, 10)).save(root / "ball/a/masks/frame000000.png")
    (problem,) = check_balls(root).problems
    assert problem.endswith("mask is 10x10 pixels, its image frame000000.png 96x72")


def test_broken_cameras_are_named(root: Path, edit_frames: Callable) -> None:
    def spoil(frames: list) -> None:
        frames[2]["viewpoint"]["R"][0][0] = 5.0
        frames[9]["viewpoint"]["focal_length"] = [-1.0, 1.0]

    edit_frames(root / "ball", spoil)
    findings = check_balls(root)
    assert findings.problems == [], "such frames are left out"
    first, second = findings.remarks
    assert first == "left out: a: kept, but for 1 of 8 frames: camera matrix R is not a rotation (frame 2)"
    assert second.startswith("left out: b__1: kept, but for 1 of 8 frames: focal length")


def test_single_frames_with_wrong_cameras_are_named(root: Path, edit_frames: Callable) -> None:
    """Two cameras of eight look 15 degrees beside the ball."""
    turn = np.array([[np.cos(0.26), 0, -np.sin(0.26)], [0, 1, 0], [np.sin(0.26), 0, np.cos(0.26)]])

    def spoil(frames: list) -> None:
        for number in (9, 13):
            for name in ("R", "T"):
                frames[number]["viewpoint"][name] = (np.array(frames[number]["viewpoint"][name]) @ turn).tolist()

    edit_frames(root / "ball", spoil)
    findings = check_balls(root)
    assert findings.problems == [] and findings.usable == 4
    assert findings.remarks == [
        "frames whose camera fits the others least: 1 of 4 sequences, 2 of 8 frames (b__1: frame000001.png, frame000005.png)"
    ]


def test_sequences_left_out_do_not_spoil_the_rest(root: Path, edit_frames: Callable) -> None:
    def spoil(frames: list) -> None:
        for frame in frames[:5]:
            frame["viewpoint"] = None
        frames[8]["mask"]["mass"] = 0.0

    edit_frames(root / "ball", spoil)
    findings = check_balls(root, subset=None)
    assert findings.problems == [] and (findings.sequences, findings.usable) == (4, 3)
    assert findings.remarks == [
        "no camera: 5 of 32 frames, in 1 of 4 sequences, the first a",
        "an empty mask: 1 of 32 frames, in 1 of 4 sequences, the first b__1",
        "left out: a: 3 of 8 listed frames have a camera and a mask, 5 are needed; it has no camera (frames 0, 1, 2, 3, 4)",
        "left out: b__1: kept, but for 1 of 8 frames: its mask is smaller than dataset.min_mask_mass (frame 0)",
    ]


def test_a_set_list_that_names_unknown_frames(root: Path) -> None:
    content = {"train": [["a", 0, ""], ["a", 99, ""], ["d", 1, ""]]}
    (root / "ball/set_lists/set_lists_other.json").write_text(json.dumps(content))
    assert check_balls(root, subset=None).remarks == [
        "set_lists_other.json: names frames that are not annotated, in 2 sequences, the first a frame 99"
    ]


def test_an_absent_set_list_names_those_there_are(root: Path) -> None:
    (problem,) = check_balls(root, subset="fewview_test").problems
    assert problem.endswith("no such set list; dataset.subset may be: fewview_dev")


def test_an_unfinished_download(root: Path) -> None:
    (root / "_download").mkdir()
    note = {"release": "full", "set_lists": True, "archives": {"ball_000.zip": {}, "ball_001.zip": None}}
    (root / "_download/ball.json").write_text(json.dumps(note))
    assert check_balls(root).problems == ["its download is not finished: ball_001.zip to come; run it again"]


def test_many_lines_of_one_kind_are_shortened(root: Path, capsys) -> None:
    for path in (root / "ball/a/images").iterdir():
        path.unlink()
    assert not check(root)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 5 + 1 + 1 and lines[-2:] == ["ball: and 3 more like these", "ball: not usable"]


def test_exit_status(root: Path) -> None:
    command = ["data", "check", str(root), "--category", "ball"]
    assert CliRunner().invoke(app, command).exit_code == 0
    (root / "ball/frame_annotations.jgz").write_bytes(gzip.compress(b"[{}]"))
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2 and "entry 0 is not a frame annotation" in result.stdout


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no category in CO3D layout; expected .*CATEGORY/frame_annotations.jgz"):
        check(tmp_path)


def test_real_apples(shared_data: Callable[[str], Path], capsys) -> None:
    assert check(shared_data("apple_photos"), subset="fewview_dev")
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:6] == ["apple", "70", "70", "3360", "100x100", "10.0"] and row[6:8] == ["0", "deg"]
    full_turns = [turn for turn in check_category(shared_data("apple_photos"), "apple", None, False).turns]
    assert sum(turn.covered < 340 for turn in full_turns) == 2  # the two runs known to be shorter


def test_a_genuine_video(shared_data: Callable[[str], Path]) -> None:
    findings = check_category(shared_data("co3d_apple20"), "apple", None, True)
    assert findings.problems == findings.remarks == []
    assert (findings.sequences, findings.frames, findings.size) == (1, 20, "1066x1896")


def test_folder_written_by_pytorch3d_lacks_cameras_only(shared_data: Callable[[str], Path], capsys) -> None:
    assert not check(shared_data("pytorch3d_random_co3dv2"))
    for line in capsys.readouterr().out.splitlines()[4:]:
        assert "camera" in line or line[1:] == ": not usable", line


def test_masses_computed_of_masks_with_values_0_and_1_leave_nothing_out(root: Path, edit_frames: Callable) -> None:
    def shrink(frames: list) -> None:
        for frame in frames:
            frame["mask"]["mass"] = 1.5  # 382 pixels / 255

    edit_frames(root / "ball", shrink)
    findings = check_balls(root, subset=None)
    assert findings.problems == [] and findings.usable == 4
    assert not any("min_mask_mass" in remark for remark in findings.remarks)
