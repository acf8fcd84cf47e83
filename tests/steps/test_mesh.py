"""The mesh step, on a ball and a crumb beside it, and on nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh

from holofusion.cameras import Cameras, turntable
from holofusion.config.evaluation import Mesh, MeshFiles
from holofusion.config.steps import MeshSettings
from holofusion.pipeline.job import Resolved
from holofusion.rendering.grids import PlainDecoder, voxel_centres
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.steps.mesh import run
from holofusion.utils.files import UserError, read_json
from tests.jobs import job_of

CENTRE = torch.tensor([0.2, -0.15, 0.05])
RESOLUTION, LEVEL = 48, 10.0
FACTS = VoxelFacts(
    extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=64, importance_samples=0, empty_density=1.0
)


@pytest.fixture
def samples(tmp_path) -> Path:
    """One shard of two scenes: a ball, and nothing."""
    centres = voxel_centres(40, 1.0)
    inside = torch.maximum(0.5 - (centres - CENTRE).norm(dim=1), 0.045 - (centres + 0.775).norm(dim=1))
    density = (LEVEL + 20 * inside).clamp_min(1e-6)
    raw = torch.cat([(density[:, None] / 20).expm1().log(), torch.logit((centres + 1) / 2)], 1)
    raw = raw.T.reshape(1, 4, 40, 40, 40)
    for seed, grid in ((3, raw), (4, raw * torch.tensor([0.0, 1, 1, 1]).reshape(1, 4, 1, 1, 1) - 30)):
        scene = VoxelScene(grid, PlainDecoder(20.0), FACTS)
        scene.save(tmp_path / f"samples/{seed:06d}", method="sds", seed=seed, config_hash="0", seconds=1.0)
    return tmp_path / "samples"


@pytest.fixture(autouse=True)
def data(monkeypatch) -> None:
    """Prepared data with cameras of two training objects, and one that looks elsewhere of an object held out."""
    away = turntable(1, 0.0, 4.0, 2.8)
    away = Cameras(away.R, away.T + 50, away.focal, away.principal)
    cameras = Cameras.cat([turntable(8, 30.0, 4.0, 2.8), turntable(8, -30.0, 4.0, 2.8), away])
    frames = {"one": [*range(8)], "two": [*range(8, 16)], "other": [16]}
    prepared = SimpleNamespace(cameras=cameras, train=["one", "two"], frames=frames)
    monkeypatch.setattr("holofusion.steps.mesh.PreparedCategory", SimpleNamespace(load=lambda folder: prepared))


def resolved(level: float | None = LEVEL, length: float | None = None, obj: bool = True) -> Resolved:
    section = Mesh(resolution=RESOLUTION, level=level)
    files = MeshFiles(faces=1000, texture=128, length=length, obj=obj)
    return Resolved("mesh", "sds-hydrant-s0", "sds", "hydrant", 0, "abc", MeshSettings(mesh=section, mesh_files=files))


def done(out: Path, samples: Path, **changes: object) -> list[dict]:
    """The step's entries of the two scenes."""
    run(job_of(resolved(**changes), out, samples=samples, data=out))
    return read_json(out / "meshes.json")["scenes"]


def test_a_shard_is_written_twice_with_the_same_bytes(samples, tmp_path):
    for name in ("first", "second"):
        done(tmp_path / name, samples)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == [*(f"000003.{suffix}" for suffix in ("glb", "mtl", "obj", "ply", "png")), "meshes.json"]
    assert all((tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes() for name in files)
    listing = read_json(tmp_path / "first/meshes.json")
    head = {"run": "sds-hydrant-s0", "config_hash": "abc", "level": LEVEL, "resolution": RESOLUTION, "length": None}
    assert {key: value for key, value in listing.items() if key != "scenes"} == head
    whole, empty = listing["scenes"]
    nothing = {
        "vertices": 0,
        "faces": 0,
        "level": LEVEL,
        "components": 0,
        "floaters": 0,
        "watertight": False,
        "file": None,
    }
    assert empty == {"seed": 4, **nothing}
    assert (whole["seed"], whole["components"], whole["watertight"]) == (3, 2, True) and 0 < whole["floaters"] < 0.01
    mesh = trimesh.load_mesh(tmp_path / "first/000003.ply", process=False)
    assert (len(mesh.vertices), len(mesh.faces)) == (whole["vertices"], whole["faces"]) and mesh.volume > 0.5
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] / 255, (mesh.vertices + 1) / 2, atol=0.02)


def test_facts_are_those_of_the_file(samples, tmp_path):
    found = done(tmp_path / "out", samples)[0]
    file = trimesh.load_mesh(tmp_path / "out/000003.glb", process=False)
    assert len(file.faces) == found["file"]["faces"] <= 1000 < found["faces"]
    file.merge_vertices(merge_tex=True, merge_norm=True)
    assert file.is_watertight and found["file"]["watertight"] and found["file"]["open_edges"] == 0
    assert len(file.split()) == found["file"]["components"] == 1  # without the crumb
    assert found["file"]["bytes"] == (tmp_path / "out/000003.glb").stat().st_size
    # of points drawn at random, 4096 on an area of 3.1: half the mean distance of neighbours, and 1000 flat faces
    assert 0.005 < found["file"]["departure"] < 0.02


def test_the_level_is_where_silhouettes_are_those_of_the_renders(samples, tmp_path):
    given, found = done(tmp_path / "given", samples)[0], done(tmp_path / "found", samples, level=None)[0]
    assert given["level"] == LEVEL and found["file"]["outline_iou"] > 0.95
    assert found["file"]["outline_iou"] > given["file"]["outline_iou"]


def test_length_is_that_of_other_programs_files_alone(samples, tmp_path):
    done(tmp_path / "out", samples, length=0.25, obj=False)
    assert not (tmp_path / "out/000003.obj").exists()
    sizes = [trimesh.load_mesh(tmp_path / f"out/000003.{suffix}").extents.max() for suffix in ("glb", "ply")]
    assert sizes[0] == pytest.approx(0.25) and sizes[1] > 1.1


def test_a_folder_without_scenes_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no scenes"):
        run(job_of(resolved(), tmp_path / "out", samples=tmp_path / "nowhere", data=tmp_path))
    assert not (tmp_path / "out").exists()
