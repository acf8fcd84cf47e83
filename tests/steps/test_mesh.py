"""The mesh step, on a ball and on nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from holofusion.config.evaluation import Mesh
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
    density = (LEVEL + 20 * (0.5 - (centres - CENTRE).norm(dim=1))).clamp_min(1e-6)
    raw = torch.cat([(density[:, None] / 20).expm1().log(), torch.logit((centres + 1) / 2)], 1)
    raw = raw.T.reshape(1, 4, 40, 40, 40)
    for seed, grid in ((3, raw), (4, raw * torch.tensor([0.0, 1, 1, 1]).reshape(1, 4, 1, 1, 1) - 30)):
        scene = VoxelScene(grid, PlainDecoder(20.0), FACTS)
        scene.save(tmp_path / f"samples/{seed:06d}", method="sds", seed=seed, config_hash="0", seconds=1.0)
    return tmp_path / "samples"


def resolved() -> Resolved:
    settings = MeshSettings(mesh=Mesh(resolution=RESOLUTION, level=LEVEL))
    return Resolved("mesh", "sds-hydrant-s0", "sds", "hydrant", 0, "abc", settings)


def test_a_shard_is_written_twice_with_the_same_bytes(samples, tmp_path):
    for name in ("first", "second"):
        run(job_of(resolved(), tmp_path / name, samples=samples))
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert files == ["000003.glb", "000003.ply", "meshes.json"]
    assert all((tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes() for name in files)
    listing = read_json(tmp_path / "first/meshes.json")
    head = {"run": "sds-hydrant-s0", "config_hash": "abc", "level": LEVEL, "resolution": RESOLUTION}
    assert {key: value for key, value in listing.items() if key != "scenes"} == head
    whole, empty = listing["scenes"]
    nothing = {"vertices": 0, "faces": 0, "level": LEVEL, "components": 0, "floaters": 0, "watertight": False}
    assert empty == {"seed": 4, **nothing}
    assert (whole["seed"], whole["components"], whole["floaters"], whole["watertight"]) == (3, 1, 0, True)
    mesh = trimesh.load_mesh(tmp_path / "first/000003.ply", process=False)
    assert (len(mesh.vertices), len(mesh.faces)) == (whole["vertices"], whole["faces"]) and mesh.volume > 0.5
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] / 255, (mesh.vertices + 1) / 2, atol=0.02)


def test_a_folder_without_scenes_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no scenes"):
        run(job_of(resolved(), tmp_path / "out", samples=tmp_path / "nowhere"))
    assert not (tmp_path / "out").exists()
