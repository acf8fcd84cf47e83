"""Objects of a trained run: the pipeline's scenes, with a mesh, a turntable and a picture that other programs read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
import trimesh
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from holofusion.cameras import turntable
from holofusion.cli.main import app
from holofusion.objects.generate import seeds_in
from holofusion.objects.page import write_page
from holofusion.objects.surfaces import formats_in, write_surface
from holofusion.objects.video import write_video
from holofusion.rendering.grids import PlainDecoder
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.utils.files import UserError
from tests.trained import RUN, SEED


def command(*arguments: object) -> Result:
    """`holofusion generate` in this process."""
    return CliRunner().invoke(app, ["generate", *map(str, arguments)])


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of two seeds of the results folder."""
    out = tmp_path_factory.mktemp("objects") / "made"
    result = command(trained, "--seeds", f"{SEED},2", "--out", out, "--views", 5, "--format", "ply")
    assert result.exit_code == 0, result.output
    assert len(result.stderr.splitlines()) <= 2, "one progress line, and its end"
    return out


def test_a_seed_gives_the_pipelines_bytes(trained: Path, made: Path) -> None:
    theirs = trained / f"samples/{RUN}/{SEED}/{SEED:06d}/scene.safetensors"
    assert (made / f"{SEED:06d}/scene/scene.safetensors").read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_seeds_made_side_by_side_have_the_same_bytes(trained: Path, made: Path, tmp_path: Path) -> None:
    assert (
        command(
            trained, "--seeds", f"2,{SEED}", "--out", tmp_path, "--views", 1, "--threads", 2, "--format", "ply"
        ).exit_code
        == 0
    )
    for name in (f"{SEED:06d}", "000002"):
        scenes = [(folder / name / "scene/scene.safetensors").read_bytes() for folder in (tmp_path, made)]
        assert scenes[0] == scenes[1]


def test_every_seed_has_its_files(trained: Path, made: Path) -> None:
    side = json.loads((trained / f"runs/{RUN}/model.json").read_text())["image_size"]
    assert {path.name for path in made.iterdir()} == {f"{SEED:06d}", "000002", "contact.png"}
    assert Image.open(made / "contact.png").size == (2 * side + 4, side)
    for seed in (SEED, 2):
        folder = made / f"{seed:06d}"
        facts = json.loads((folder / "object.json").read_text())
        assert (facts["model"], facts["seed"], facts["stage"], facts["size"]) == (RUN, seed, "fused", side)
        assert Image.open(folder / "view.png").size == (side, side)
        assert imageio_ffmpeg.count_frames_and_secs(str(folder / "turntable.mp4"))[0] == 5
        surfaces = [trimesh.load_mesh(folder / name, process=False) for name in facts["meshes"]]
        assert len(surfaces) <= 1  # two steps of training can leave fog, which has none
        assert all(surface.is_watertight for surface in surfaces)


def test_a_surface_is_written_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holofusion.objects.surfaces.TEXTURE", 64)
    z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, 12)] * 3, indexing="ij")
    ball = 10 - 20 * (x**2 + y**2 + z**2).sqrt()
    grid = torch.stack([ball, *[torch.full_like(ball, 2.0)] * 3])[None]
    facts = {"extent": 1.0, "density_scale": 1.0, "precision": "fp32", "coarse_samples": 16, "importance_samples": 0}
    scene = VoxelScene(grid, PlainDecoder(1.0), VoxelFacts(**facts, empty_density=None))
    cameras = turntable(12, 20.0, 4.0, 3.0)
    assert write_surface(scene, tmp_path, ["glb", "ply", "obj"], cameras) == ["object.glb", "object.ply", "object.obj"]
    glb, ply, obj = (
        trimesh.load_mesh(tmp_path / f"object.{suffix}", process=False) for suffix in formats_in("glb,ply,obj")
    )
    assert isinstance(glb.visual, trimesh.visual.TextureVisuals) and isinstance(
        obj.visual, trimesh.visual.TextureVisuals
    )
    for surface in (glb, ply, obj):
        assert surface.volume == pytest.approx(
            4 / 3 * np.pi * np.linalg.norm(ply.vertices, axis=1).mean() ** 3, rel=0.05
        )
    empty = VoxelScene(torch.full_like(grid, -50.0), PlainDecoder(1.0), scene.facts)
    assert write_surface(empty, tmp_path / "none", ["glb"], cameras) == []


def test_what_is_there_is_not_made_again(trained: Path, made: Path) -> None:
    before = (made / "000002/object.json").stat().st_mtime_ns
    assert command(trained, "--seeds", 2, "--out", made, "--views", 5, "--format", "ply").exit_code == 0
    assert (made / "000002/object.json").stat().st_mtime_ns == before


def test_the_page_of_generated_objects(made: Path) -> None:
    text = write_page(made).read_text()
    addresses = re.findall(r' (?:src|poster|href)="([^"]+)"', text)
    assert len(addresses) >= 4 and all((made / address).is_file() for address in addresses)
    assert f"{RUN}, fused" in text
    assert not [address for address in addresses if "//" in address]
    (made / "index.html").unlink()


@pytest.mark.parametrize(("text", "seeds"), [("0-3", [0, 1, 2, 3]), ("7", [7]), ("5, 1-2,5", [5, 1, 2])])
def test_lists_of_seeds(text: str, seeds: list[int]) -> None:
    assert seeds_in(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "-2", "1,,2"])
def test_what_is_no_list_of_seeds_is_named(text: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"--seeds {text}: expected")):
        seeds_in(text)


def test_an_unknown_format_is_named() -> None:
    assert formats_in("glb, obj") == ["glb", "obj"]
    with pytest.raises(UserError, match="--format fbx: meshes are written as glb, ply, obj"):
        formats_in("glb,fbx")


def test_a_video_shows_its_frames(tmp_path: Path) -> None:
    frames = np.zeros((6, 33, 33, 3), np.uint8)
    for index, frame in enumerate(frames):
        frame[:] = (40 * index, 0, 200)
    write_video(frames, tmp_path / "turn.mp4", 12.0)
    read = imageio_ffmpeg.read_frames(str(tmp_path / "turn.mp4"))
    assert next(read)["size"] == (32, 32)
    seen = [np.frombuffer(frame, np.uint8).reshape(32, 32, 3).mean((0, 1)) for frame in read]
    np.testing.assert_allclose(seen, frames[:, 0, 0], atol=6)
