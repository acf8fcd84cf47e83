"""Scene files: what they hold, that a kind is one class and one line, and what is said of files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from holofusion.rendering.grids import PlainDecoder
from holofusion.scenes.files import SCENES, load_scene
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.utils.files import UserError
from tests.methods.toy import Ball, BallFacts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small scene."""
    facts = VoxelFacts(
        extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=8, importance_samples=0, empty_density=None
    )
    scene = VoxelScene(torch.zeros(1, 4, 4, 4, 4), PlainDecoder(20.0), facts)
    scene.save(tmp_path / "scene", seed=7)
    return tmp_path / "scene"


def change(folder: Path, **values: object) -> None:
    path = folder / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_scene_comes_back_with_its_facts_and_notes(folder: Path) -> None:
    scene, content = load_scene(folder)
    assert isinstance(scene, VoxelScene) and scene.facts.coarse_samples == 8
    assert content["kind"] == "voxel" and content["seed"] == 7


def test_a_toy_kind_is_one_class_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCENES, "toy_ball", "tests.methods.toy:Ball")
    Ball(torch.tensor([0.9, 0.2, 0.1]), BallFacts(radius=0.4)).save(tmp_path)
    scene, _ = load_scene(tmp_path)
    assert type(scene).__name__ == "Ball" and scene.facts.radius == 0.4
    mesh = scene.surface(24)
    assert len(mesh.faces) > 50 and (abs(mesh.colours.astype(int) - [230, 51, 26]) <= 1).all()


@pytest.mark.parametrize("kind", SCENES)
def test_every_kind_is_listed_under_its_own_name(kind: str) -> None:
    from holofusion.pipeline.registry import class_named

    assert class_named(SCENES[kind]).kind == kind


def test_an_unknown_kind_is_named(folder: Path) -> None:
    change(folder, kind="voxels")
    with pytest.raises(UserError, match=r"scene\.json: unknown kind of scene 'voxels'; did you mean 'voxel'"):
        load_scene(folder)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"coarse_samples": 0}, r"facts\.coarse_samples: 0 is not valid; it should be greater than or equal to 1"),
        ({"colour": "red"}, r"facts\.colour: unknown key"),
        ({"extent": "wide"}, r"facts\.extent: 'wide' is not valid"),
    ],
)
def test_facts_that_do_not_fit_are_named(folder: Path, facts: dict[str, object], message: str) -> None:
    change(folder, facts=json.loads((folder / "scene.json").read_text())["facts"] | facts)
    with pytest.raises(UserError, match=r"scene\.json: " + message):
        load_scene(folder)


def test_a_missing_fact_is_named(folder: Path) -> None:
    facts = json.loads((folder / "scene.json").read_text())["facts"]
    del facts["extent"]
    change(folder, facts=facts)
    with pytest.raises(UserError, match=r"scene\.json: facts\.extent: missing"):
        load_scene(folder)


def test_tensors_that_are_missing_damaged_or_of_another_scene_are_named(folder: Path) -> None:
    path = folder / "scene.safetensors"
    tensors = load_file(path)
    save_file({"mesh": tensors["grid"]}, path)
    with pytest.raises(UserError, match=r"scene\.safetensors: holds no tensor 'grid'"):
        load_scene(folder)
    save_file({"grid": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"scene\.safetensors: not .* \(tensor grid is of shape \[3\]"):
        load_scene(folder)
    path.write_bytes(b"no")
    with pytest.raises(UserError, match=r"scene\.safetensors: not the tensors of a scene"):
        load_scene(folder)
    path.unlink()
    with pytest.raises(UserError, match=r"scene\.safetensors: no such file"):
        load_scene(folder)
    with pytest.raises(UserError, match=r"nowhere.scene\.json: no such file"):
        load_scene(folder.parent / "nowhere")
