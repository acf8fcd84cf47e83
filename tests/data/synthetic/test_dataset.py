"""The embedded data set against its own meshes, its own files and PyTorch3D's reader."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from holofusion.cameras import Cameras
from holofusion.data.synthetic.dataset import BUILDERS, make_dataset
from holofusion.data.synthetic.render import bake, orbit, render
from holofusion.data.synthetic.sdf import cylinder, distance_grid, ellipsoid, limb, nearest, torus
from holofusion.data.synthetic.textures import EMBLEMS, emblem
from holofusion.utils.files import UserError
from holofusion.utils.random import numpy_generator_for

SIZE, VIEWS = 96, 3


def settings(objects: int = 2, views: int = VIEWS, size: int = SIZE) -> SimpleNamespace:
    return SimpleNamespace(objects=objects, views=views, size=size)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two objects with three views of every category."""
    folder = tmp_path_factory.mktemp("synthetic")
    for category in BUILDERS:
        make_dataset(settings(), category, 3, folder, 1)
    return folder


def frames_of(root: Path, category: str) -> list[dict]:
    return json.loads(gzip.decompress((root / category / "frame_annotations.jgz").read_bytes()))


def camera_of(frame: dict) -> Cameras:
    view = frame["viewpoint"]
    assert view["intrinsics_format"] == "ndc_isotropic"
    values = (view["R"], view["T"], view["focal_length"], view["principal_point"])
    return Cameras(*(torch.tensor([value]) for value in values))


def pixels_of(frame: dict, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel positions (n, 2) of points in a frame, and their depths (n,)."""
    ndc, depth = camera_of(frame).project(torch.from_numpy(np.asarray(vertices, dtype=np.float32)))
    return (SIZE / 2 * (1 - ndc[0])).numpy(), depth[0].numpy()


@pytest.mark.parametrize("category", BUILDERS)
def test_mask_is_the_projection_of_the_true_mesh(root: Path, category: str) -> None:
    for frame in frames_of(root, category):
        mesh = trimesh.load(root / category / frame["sequence_name"] / "mesh.ply", process=False)
        assert mesh.is_watertight and mesh.volume > 0 and mesh.body_count == 1
        pixels, depth = pixels_of(frame, mesh.vertices)
        assert (depth > 0).all() and pixels.min() > 0 and pixels.max() < SIZE  # never cut off
        mask = np.asarray(Image.open(root / frame["mask"]["path"]))
        assert mask.shape == (SIZE, SIZE) and mask.dtype == np.uint8
        column, row = pixels.astype(int).T
        assert (mask[row, column] > 0).mean() > 0.985
        x, y, width, height = frame["mask"]["bounding_box_xywh"]
        assert np.allclose(pixels.min(0), (x, y), atol=1.2)
        assert np.allclose(pixels.max(0), (x + width, y + height), atol=1.2)
        assert frame["mask"]["mass"] == pytest.approx(mask.sum(dtype=float) / 255)
        assert 0.5 < max(width, height) / SIZE < 0.84


@pytest.mark.parametrize("category", BUILDERS)
def test_colours_of_the_picture_are_those_of_the_mesh(root: Path, category: str) -> None:
    """Ties pictures, cameras and meshes together: a mirrored or turned camera would show other colours."""
    for frame in frames_of(root, category):
        mesh = trimesh.load(root / category / frame["sequence_name"] / "mesh.ply", process=False)
        pixels, depth = pixels_of(frame, mesh.vertices)
        image = np.asarray(Image.open(root / frame["image"]["path"]).convert("RGB"), dtype=float)
        colors = np.asarray(mesh.visual.vertex_colors)[:, :3].astype(float)
        cell = pixels.astype(int) @ (1, SIZE)
        front = np.full(SIZE * SIZE, np.inf)
        np.minimum.at(front, cell, depth)
        seen = depth < front[cell] + 0.005 * np.ptp(depth)
        error = np.abs(image.reshape(-1, 3)[cell[seen]] - colors[seen]).mean(1)
        mirrored = np.abs(image[:, ::-1].reshape(-1, 3)[cell[seen]] - colors[seen]).mean(1)
        assert np.median(error) < 12
        assert error.mean() < 0.7 * mirrored.mean()


def test_background_is_white_and_edges_are_soft(root: Path) -> None:
    frame = frames_of(root, "teddybear")[0]
    image = np.asarray(Image.open(root / frame["image"]["path"]))
    mask = np.asarray(Image.open(root / frame["mask"]["path"]))
    assert Image.open(root / frame["image"]["path"]).format == "JPEG"
    corner = image[:8, :8]
    assert (corner >= 254).all() and (mask[:8, :8] == 0).all()
    assert ((mask > 0) & (mask < 255)).sum() > 40  # partly covered pixels along the outline


def test_cameras_go_round_and_vary(root: Path) -> None:
    for category in BUILDERS:
        frames = frames_of(root, category)
        centers = torch.cat([camera_of(frame).centers() for frame in frames])[:VIEWS]
        mesh = trimesh.load(root / category / frames[0]["sequence_name"] / "mesh.ply", process=False)
        arm = centers.numpy() - mesh.bounds.mean(0)
        distance = np.linalg.norm(arm, axis=1)
        elevation = np.degrees(np.arcsin(arm[:, 1] / distance))
        assert (elevation > 0).all() and (elevation < 55).all() and np.ptp(elevation) > 1
        assert np.ptp(distance) > 0.01 * distance.mean()
        level = arm[:, [0, 2]] / np.linalg.norm(arm[:, [0, 2]], axis=1, keepdims=True)
        assert np.linalg.norm(level.mean(0)) < 0.7  # three views a third of a turn apart, more or less
        assert len({frame["viewpoint"]["focal_length"][0] for frame in frames}) == len(frames)


def test_split_is_by_object_and_lists_agree(tmp_path: Path) -> None:
    make_dataset(settings(9, 2, 32), "apple", 0, tmp_path, 1)
    folder = tmp_path / "apple"
    lists = json.loads((folder / "set_lists/set_lists_fewview_dev.json").read_text())
    train, test = ({triple[0] for triple in lists[name]} for name in ("train", "test"))
    assert lists["val"] == lists["test"] and not train & test
    assert len(train) == 8 and len(test) == 1
    frames = {(f["sequence_name"], f["frame_number"]): f for f in frames_of(tmp_path, "apple")}
    for name, known in (("train", train), ("test", test)):
        for sequence, number, path in lists[name]:
            frame = frames[sequence, number]
            assert sequence in known and frame["image"]["path"] == path and (tmp_path / path).is_file()
            assert frame["meta"]["frame_type"].startswith(name)
    batches = json.loads((folder / "eval_batches/eval_batches_fewview_dev.json").read_text())
    assert all(triple in lists["test"] for batch in batches for triple in batch)
    assert [frames[batch[0][0], batch[0][1]]["meta"]["frame_type"] for batch in batches] == ["test_unseen"]


def test_pytorch3d_reads_it(root: Path) -> None:
    provider = pytest.importorskip("pytorch3d.implicitron.dataset.json_index_dataset_map_provider_v2")
    from pytorch3d.implicitron.tools.config import expand_args_fields

    Provider = expand_args_fields(provider.JsonIndexDatasetMapProviderV2)
    arguments = {"load_point_clouds": False, "load_depths": False, "load_depth_masks": False, "box_crop": False}
    arguments |= {"image_height": SIZE, "image_width": SIZE}
    for category in BUILDERS:
        sets = Provider(
            category=category,
            subset_name="fewview_dev",
            dataset_root=str(root),
            test_on_train=False,
            only_test_set=False,
            load_eval_batches=True,
            dataset_JsonIndexDataset_args=arguments,
        ).get_dataset_map()
        assert len(sets.train) == VIEWS and len(sets.test) == VIEWS
        item = sets.train[0]
        ours = next(f for f in frames_of(root, category) if f["image"]["path"] in item.image_path)
        assert torch.allclose(item.camera.R[0], torch.tensor(ours["viewpoint"]["R"]))
        assert torch.allclose(item.camera.focal_length[0], torch.tensor(ours["viewpoint"]["focal_length"]))
        assert item.image_rgb.shape == (3, SIZE, SIZE) and float(item.fg_probability.sum()) > 100
        assert sets.test.get_eval_batches() is not None and len(sets.test.get_eval_batches()[0]) == VIEWS


def test_same_seed_same_bytes_whatever_the_workers(root: Path, tmp_path: Path) -> None:
    make_dataset(settings(), "teddybear", 3, tmp_path, 2)
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file() and p.parent != tmp_path)
    assert len(files) == 2 * (2 * VIEWS + 1) + 4
    for file in files:
        assert (tmp_path / file).read_bytes() == (root / file).read_bytes(), file


def test_other_seeds_and_numbers_give_other_objects(root: Path, tmp_path: Path) -> None:
    make_dataset(settings(2, 1, 32), "donut", 4, tmp_path, 1)
    meshes = [p.read_bytes() for folder in (tmp_path, root) for p in sorted((folder / "donut").glob("*/mesh.ply"))]
    assert len(meshes) == len(set(meshes)) == 4


def test_categories_are_listed_and_unknown_ones_refused(root: Path, tmp_path: Path) -> None:
    listed = json.loads((root / "category_to_subset_name_list.json").read_text())
    assert listed == {category: ["fewview_dev"] for category in BUILDERS}
    with pytest.raises(UserError, match="'sofa' has no procedural objects"):
        make_dataset(settings(), "sofa", 0, tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_failure_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(settings(2, 1, 32), "apple", 0, tmp_path, 1)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def broken(random: np.random.Generator) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setitem(BUILDERS, "apple", broken)
    with pytest.raises(RuntimeError, match="on purpose"):
        make_dataset(settings(2, 1, 32), "apple", 1, tmp_path, 1)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_primitives_are_bounds_of_the_true_distance() -> None:
    """Sphere tracing may never step through: a distance is at most the true one, and 0 on the surface."""
    points = torch.from_numpy(numpy_generator_for("test").uniform(-2, 2, (3, 4000)).astype(np.float32))
    ball = ellipsoid((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    offset = points - torch.tensor([[0.1], [0.2], [0.3]])
    assert torch.allclose(ball.distance(points), offset.norm(dim=0) - 0.5, atol=1e-5)
    ring = torus((0, 0, 0), 0.7, 0.2)
    flat = (points[0].square() + points[2].square()).sqrt()
    assert torch.allclose(ring.distance(points), ((flat - 0.7) ** 2 + points[1] ** 2).sqrt() - 0.2, atol=1e-5)
    solids = (ball, ring, limb((0, 0, 0), (0, 1, 0), 0.2, 0.1), cylinder((0, -0.5, 0), (0, 0.5, 0), 0.3, 0.02, 6))
    for solid in solids:
        inside = solid.distance(points) < 0
        assert inside.any() and ((points - solid.center).norm(dim=0)[inside] <= solid.radius + 1e-5).all()


@pytest.mark.parametrize("category", BUILDERS)
def test_grid_agrees_with_the_exact_union(category: str) -> None:
    parts = BUILDERS[category](numpy_generator_for("test", category))
    grid = distance_grid(parts, 64, lambda points: torch.zeros(points.shape[1]))
    points = grid.nodes()[:, ::7]
    exact, _ = nearest(parts, points)
    brute = torch.stack([part.solid.distance(points) for part in parts]).amin(0)
    # looking only at near bounding spheres changes no inside, and no distance but towards the truth from below
    assert ((exact < 0) == (brute < 0)).all() and (exact > brute - 1e-5).all()
    near = exact.abs() < 2 * grid.cell
    same = torch.isclose(grid.sample(points)[0][near], exact[near], atol=1e-4)
    assert same.float().mean() > 0.999  # all but closed pockets, which are filled


def test_picture_of_a_sphere_is_a_disc() -> None:
    """One ellipsoid of known size against the closed form of its outline."""
    from holofusion.data.synthetic.sdf import Part

    red = torch.tensor([[0.8], [0.1], [0.1]])
    model = bake([Part(ellipsoid((0, 0, 0), (0.5, 0.5, 0.5)), lambda p, n: red.expand_as(p))])
    R, T = orbit(0.7, 0.4, 3.0, torch.zeros(3, 1))
    image, cover = render(model, R, T, 4.0, 100)
    radius = 50 * 4.0 * 0.5 / (3.0**2 - 0.5**2) ** 0.5
    assert cover.sum(dtype=float) / 255 == pytest.approx(np.pi * radius**2, rel=0.02)
    assert cover[50, 50] == 255 and image[50, 50, 0] > 2 * image[50, 50, 1]
    assert cover[0, 0] == 0 and (image[0, 0] == 255).all()


def test_emblems_are_upright_and_not_mirrored() -> None:
    side = torch.linspace(-0.95, 0.95, 41)
    v, u = torch.meshgrid(-side, side, indexing="ij")
    for name in EMBLEMS:
        assert 0.05 < float(emblem(name, u.flatten(), v.flatten()).mean()) < 0.8, name
    letter = emblem("L", u.flatten(), v.flatten()).reshape(41, 41)
    assert letter[:, :20].sum() > 1.5 * letter[:, 21:].sum()  # the stem is on the left
    assert letter[21:].sum() > 1.2 * letter[:20].sum()  # the foot is at the bottom
