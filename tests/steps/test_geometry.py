"""The steps `geometry` and `geometry_floor`, on shapes whose distances are known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from holofusion.cameras import cameras_from_json, cameras_to_json, turntable
from holofusion.config.evaluation import Consistency, Evaluation, Geometry, Intervals
from holofusion.config.steps import GeometrySettings, SurfaceSettings
from holofusion.evaluation.bootstrap import redraw
from holofusion.evaluation.geometry import true_meshes
from holofusion.meshing.textured import TexturedMesh
from holofusion.pipeline.job import Resolved
from holofusion.rendering.images import to_bytes
from holofusion.steps import geometry, geometry_floor
from holofusion.utils.files import UserError, read_json, write_json
from tests.discs import CAMERA, SIDE, picture, write_views
from tests.jobs import job_of

POINTS = 500
OVERLAP = {"outline_iou": 0.9, "departure": 0.01}
EVALUATION = Evaluation(
    images=10,
    feature_network="efficientnet_lite0",
    inception_weights=None,
    other_category=None,
    kernel_subset_size=10,
    kernel_subsets=2,
    reference_frames=4,
)


def sphere(radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return mesh.apply_translation(centre)


@pytest.fixture(autouse=True)
def features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means of parts of a picture in the place of a network's features."""

    def extract(network: None, images: Iterable[np.ndarray], count: int, label: str) -> torch.Tensor:
        return torch.tensor(np.stack([image.reshape(6, 8, 6, 8, 3).mean((1, 3)).ravel() / 255 for image in images]))

    monkeypatch.setattr("holofusion.evaluation.features.load_network", lambda *names: None)
    monkeypatch.setattr("holofusion.evaluation.features.extract", extract)


@pytest.fixture
def folders(tmp_path: Path, data: Any) -> Path:
    """Six true spheres of radius 0.45 to 0.55 in worlds of their own, and one run of five scenes in two shards."""
    names = [f"hydrant_{number:04d}" for number in range(6)]
    placed = {}
    for number, name in enumerate(names):
        centre, scale = [3.0 + number, -2.0, 0.5 * number], 2.0 + number
        placed[name] = {"center": centre, "scale": scale}
        path = tmp_path / f"dataset/hydrant/{name}/mesh.ply"
        path.parent.mkdir(parents=True)
        sphere((0.45 + 0.02 * number) * scale, tuple(centre)).export(path)
    write_json(tmp_path / "data/data.json", {"normalisation": placed})
    write_json(tmp_path / "data/split.json", {"train": names[:4], "held_out": names[4:]})
    double = sphere(0.5, (-0.4, 0, 0)) + sphere(0.25, (0.6, 0, 0))
    made = {0: sphere(0.45), 1: sphere(0.5), 2: sphere(0.55), 3: double}
    for shard, seeds in enumerate(([0, 1, 2], [3, 4])):
        scenes = []
        for seed in seeds:
            scenes.append({"seed": seed, "faces": len(made[seed].faces) if seed in made else 0, "file": None})
            if seed in made:
                path = tmp_path / f"meshes/{shard}/{seed:06d}.ply"
                path.parent.mkdir(parents=True, exist_ok=True)
                made[seed].export(path)
                textured(made[seed]).scaled(0.5).export(path.with_suffix(".glb"))
                low, high = made[seed].bounds
                facts = {"center": ((low + high) / 2).tolist(), "unit": float((high - low).max() / 0.5)}
                scenes[-1]["file"] = (
                    facts | dict.fromkeys(("faces", "components", "open_edges", "bytes"), seed) | OVERLAP
                )
        write_json(tmp_path / f"meshes/{shard}/meshes.json", {"run": "sds-hydrant-s0", "scenes": scenes})
    write_views(tmp_path / "views", {seed: [seen(made.get(seed))] * 2 for seed in range(5)}, "sds-hydrant-s0")
    return tmp_path


def textured(mesh: trimesh.Trimesh) -> TexturedMesh:
    """The mesh with a texture that is green on the left and blue on the right of the world."""
    places = np.stack([0.5 + 0.4 * mesh.vertices[:, 0], np.full(len(mesh.vertices), 0.5)], 1)
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, :32, 1] = halves[:, 32:, 2] = 200
    return TexturedMesh(mesh.vertices.astype(np.float32), mesh.faces, places, mesh.faces, halves)


def seen(mesh: trimesh.Trimesh | None) -> np.ndarray:
    """What the camera of all pictures sees of it; of nothing, a disc."""
    return picture(0, 0) if mesh is None else to_bytes(textured(mesh).render(cameras_from_json([CAMERA]), SIDE).rgb)[0]


def scored(folders: Path, name: str = "out.json", meshes: str = "meshes", shapes: bool = True) -> Path:
    """The run's scores, written to a file of that name; with `shapes` true surfaces are known."""
    settings = SurfaceSettings(
        geometry=Geometry(points=POINTS),
        intervals=Intervals(replicates=40),
        evaluation=EVALUATION,
        consistency=Consistency(steps=1, rays=8, resolution=8, samples=4, learning_rate=0.1),
    )
    resolved = Resolved("geometry", "sds-hydrant-s0", "sds", "hydrant", 0, "abc", settings)
    inputs = {"data": folders / "data", "meshes": folders / meshes, "views": folders / "views"}
    geometry.run(job_of(resolved, folders / name, **inputs, dataset=folders / "dataset" if shapes else None))
    return folders / name


def scored_floor(folders: Path, points: int = POINTS) -> Path:
    """The scores of true surfaces."""
    settings = GeometrySettings(geometry=Geometry(points=points), intervals=Intervals(replicates=40))
    resolved = Resolved("geometry_floor", "real_floor-hydrant", None, "hydrant", 0, "abc", settings)
    inputs = {"data": folders / "data", "dataset": folders / "dataset"}
    geometry_floor.run(job_of(resolved, folders / "out.json", **inputs))
    return folders / "out.json"


def scores(path: Path) -> dict[str, dict]:
    return {entry["metric"]: entry for entry in read_json(path)["entries"]}


def test_true_shapes_land_where_their_photographs_were_put(folders: Path) -> None:
    names = ["hydrant_0003", "hydrant_0000"]
    meshes = true_meshes(folders / "data", folders / "dataset/hydrant", names)
    for name, radius in zip(names, (0.51, 0.45), strict=True):
        np.testing.assert_allclose(np.linalg.norm(meshes[name].vertices, axis=1), radius, atol=1e-5)


def test_scores_of_a_run(folders: Path) -> None:
    for name in ("first.json", "second.json"):
        scored(folders, name)
    assert (folders / "first.json").read_bytes() == (folders / "second.json").read_bytes()
    written, found = read_json(folders / "first.json"), scores(folders / "first.json")
    assert {key: written[key] for key in ("run", "method", "category", "seed", "config_hash", "n_scenes")} == {
        "run": "sds-hydrant-s0",
        "method": "sds",
        "category": "hydrant",
        "seed": 0,
        "config_hash": "abc",
        "n_scenes": 5,
    }
    assert (found["empty_meshes"]["value"], found["empty_meshes"]["n_generated"]) == (1, 5)
    assert found["mesh_components"]["value"] == 5 / 4
    assert found["floaters"]["value"] == pytest.approx(0.25**2 / (0.25**2 + 0.5**2) / 4, rel=1e-3)
    assert found["mesh_faces"]["value"] == 1280 * 5 / 4
    assert all(found[name]["units"] == 4 for name in ("mesh_components", "floaters", "mesh_faces"))
    replicates = found["mesh_components"]["replicates"]
    draws = redraw(5, 40, "scenes", 0)[:, :4]  # of all scenes; the fifth is empty
    np.testing.assert_allclose(replicates, draws @ [1, 1, 1, 2] / draws.sum(1), rtol=1e-5)
    for metric in ("chamfer_coverage", "chamfer_mmd", "normal_consistency"):
        entry = found[metric]
        assert (entry["reference"], entry["n_real"], entry["n_generated"]) == ("true_shapes", 5, 4)
        assert len(entry["replicates"]) == 40 and entry["low"] <= entry["value"] <= entry["high"]
    # the first five of six radii are within 0.02 of a scene's; 500 points leave noise of about as much
    assert 0.01 < found["chamfer_mmd"]["value"] < 0.06


def test_photographs_have_no_shape_scores(folders: Path) -> None:
    scored(folders, shapes=False)
    found = scores(folders / "out.json")
    assert list(found)[:4] == ["empty_meshes", "mesh_components", "floaters", "mesh_faces"]
    assert not {"chamfer_coverage", "chamfer_mmd", "normal_consistency"} & {*found}


def test_files_are_shown_from_the_cameras_of_the_field_s_pictures(folders: Path) -> None:
    found = scores(scored(folders, shapes=False))
    # of five scenes four are shown as they were, up to 8 bits and float32, and the last is white in the place of a disc
    assert found["mesh_likeness"]["value"] > 0.8 * 40 and found["mesh_likeness"]["units"] == 5
    whole = found["mesh_likeness"]["value"]
    kernel = found["mesh_kd_efficientnet_lite0"]
    assert (kernel["reference"], kernel["n_real"], kernel["n_generated"], len(kernel["replicates"])) == (
        "train",
        32,
        10,
        40,
    )
    assert found["mesh_sharpness"]["n_generated"] == 10
    assert "mesh_consistency_psnr" not in found  # no scene has eight views
    listing = read_json(folders / "meshes/0/meshes.json")
    listing["scenes"][0]["file"]["center"][0] += 0.3
    write_json(folders / "meshes/0/meshes.json", listing)
    assert scores(scored(folders, shapes=False))["mesh_likeness"]["value"] < whole - 5


def test_facts_of_files_are_averaged_over_those_there_are(folders: Path) -> None:
    found = scores(scored(folders, shapes=False))
    for name in ("open_edges", "file_components", "file_faces", "file_size"):
        assert (found[name]["value"], found[name]["units"]) == (1.5, 4)
    assert (found["outline_iou"]["value"], found["departure"]["value"]) == (0.9, 0.01)


def test_view_agreement_is_scored_where_the_field_s_is(folders: Path) -> None:
    path = folders / "views/1/cameras.json"
    listing = read_json(path)
    cameras = cameras_to_json(turntable(8, 20.0, 4.0, 2.8))
    for scene in listing["scenes"]:
        scene["consistency"] = [{"file": "none", **camera} for camera in cameras]
    write_json(path, listing)
    found = scores(scored(folders, shapes=False))["mesh_consistency_psnr"]
    assert (found["n_scenes"], found["n_generated"], found["replicates"]) == (2, 16, None) and found["value"] > 5


def test_a_run_without_any_surface_says_so(folders: Path) -> None:
    for shard in (0, 1):
        listing = read_json(folders / f"meshes/{shard}/meshes.json")
        listing["scenes"] = [scene | {"faces": 0} for scene in listing["scenes"]]
        write_json(folders / f"meshes/{shard}/meshes.json", listing)
    scored(folders)
    found = scores(folders / "out.json")
    assert [*found] == ["empty_meshes", "mesh_kd_efficientnet_lite0", "mesh_sharpness", "mesh_likeness"]
    assert (found["empty_meshes"]["value"], found["mesh_sharpness"]["value"]) == (5, 0)


def test_floor_compares_held_out_with_training_shapes(folders: Path) -> None:
    file = scored_floor(folders, points=5000)
    written, found = read_json(file), scores(file)
    assert (written["run"], written["method"], written["n_scenes"]) == ("real_floor-hydrant", "real_floor", 2)
    assert (found["mesh_components"]["value"], found["floaters"]["value"]) == (1, 0)
    entry = found["chamfer_mmd"]
    assert (entry["n_real"], entry["n_generated"], entry["replicates"]) == (2, 2, None)
    # held-out radii 0.53 and 0.55; training radii 0.45 and 0.49: off by 0.08 and 0.04
    assert entry["value"] == pytest.approx(0.06, abs=0.01)


def test_errors_name_the_file(folders: Path) -> None:
    def fails(message: str) -> None:
        with pytest.raises(UserError, match=message):
            scored(folders)
        assert not (folders / "out.json").exists()

    with pytest.raises(UserError, match="nowhere: no meshes.json"):
        scored(folders, meshes="nowhere", shapes=False)
    (folders / "dataset/hydrant/hydrant_0000/mesh.ply").write_bytes(b"ply\n")
    fails(r"hydrant_0000/mesh\.ply: not a mesh that can be read")
    (folders / "dataset/hydrant/hydrant_0000/mesh.ply").unlink()
    fails(r"hydrant_0000/mesh\.ply: no such file")
    (folders / "meshes/1/000003.ply").unlink()
    fails(r"1/000003\.ply: no such file")
    listing = read_json(folders / "meshes/1/meshes.json")
    write_json(folders / "meshes/1/meshes.json", {**listing, "run": "sds-hydrant-s1"})
    fails("1/meshes.json: meshes of sds-hydrant-s1, expected sds-hydrant-s0")
    listing["scenes"][0]["seed"] = 0
    write_json(folders / "meshes/1/meshes.json", listing)
    fails("1/meshes.json: seed 0 is listed twice")
    listing["scenes"][0]["seed"] = 3
    write_json(folders / "meshes/1/meshes.json", listing | {"run": "sds-hydrant-s0"})
    sphere(0.5).export(folders / "meshes/1/000003.ply")
    (folders / "meshes/1/000003.glb").write_bytes(b"glTF")
    fails(r"1/000003\.glb: not a textured mesh that can be read")
    (folders / "meshes/1/000003.glb").unlink()
    fails(r"1/000003\.glb: no such file")
    write_json(folders / "data/data.json", {"normalisation": {}})
    with pytest.raises(UserError, match="data.json: no normalisation of hydrant_0004"):
        scored_floor(folders)
