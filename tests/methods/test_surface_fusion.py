"""Fusion on a surface: balls whose size and colours are known are found from exact views of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from holofusion.cameras import Cameras, turntable
from holofusion.config.sampling import Distillation, SuperResolutionSampling, SurfaceFusion
from holofusion.meshing.mesh import pieces
from holofusion.methods import surface_fusion
from holofusion.methods.superresolution import SuperResolution, SuperResolvedFacts, SuperResolvedScene
from holofusion.methods.surface_fusion import (
    MovingMesh,
    bending,
    face_pairs,
    fuse_on_surface,
    lattice_of,
    start_from,
)
from holofusion.rendering.face_search import FaceSearch
from holofusion.rendering.grids import PlainDecoder, corners, voxel_centres
from holofusion.report.scores import GROUPS
from holofusion.scenes.files import load_scene
from holofusion.scenes.mesh import PaintedMeshScene
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.utils.files import UserError
from tests.balls import RADIUS, SIZE, ball_views
from tests.sections import sections

PIXEL = 2 / SIZE * 4 / 3  # of the balls' views, world units
FACTS = VoxelFacts(
    extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=48, importance_samples=0, empty_density=1.0
)
SECTIONS = sections(superresolution=dict(low_size=SIZE))
SUPER_RESOLVED = SuperResolvedFacts(
    coarse=FACTS,
    superresolution=SECTIONS["superresolution"],
    superresolution_sampling=SuperResolutionSampling(steps=1, sampler="ddpm", end=0.0),
    seed=0,
)
SECTION = SurfaceFusion(
    cells=20,
    resolution=32,
    steps=64,
    learning_rate=0.2,
    vertex_rate=0.1,
    smoothness=0.1,
    normal_weight=0.01,
    silhouette_weight=0.0,
)


def distillation(**changes: object) -> Distillation:
    return SECTIONS["distillation"].model_copy(update={"mode": "full", "checkpoint_every": 5} | changes)


@dataclass(frozen=True)
class Bank:
    """Hypotheses (V, K, 3, S, S) that are not rounded to bytes."""

    cameras: Cameras
    pictures: torch.Tensor

    def images(self, device: torch.device) -> torch.Tensor:
        return self.pictures


def ball(radius: float, colour: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> SuperResolvedScene:
    """A ball in one colour as a coarse scene; one of no size is nothing."""
    density = (
        (60 * (radius - voxel_centres(24, 1.0).norm(dim=1))).clamp(-8, 8) if radius else torch.full((24**3,), -8.0)
    )
    grid = torch.cat([density[None], torch.logit(torch.tensor(colour))[:, None].expand(3, 24**3)])
    coarse = VoxelScene(grid.reshape(1, 4, 24, 24, 24), PlainDecoder(20.0), FACTS)
    return SuperResolvedScene(coarse, SuperResolution(SUPER_RESOLVED.superresolution, "fp32"), SUPER_RESOLVED)


def radii(scene: PaintedMeshScene) -> torch.Tensor:
    return scene.vertices.norm(dim=1)


def in_colours(scene: SuperResolvedScene, cameras: Cameras, *colours: tuple[float, float, float]) -> Bank:
    """Views of a coarse ball, for each colour one in it."""
    alpha = scene.coarse.render(cameras, SIZE).alpha
    painted = [1 - alpha * (1 - torch.tensor(colour).reshape(1, 3, 1, 1)) for colour in colours]
    return Bank(cameras, torch.stack(painted, 1))


@pytest.fixture(scope="module")
def grown() -> PaintedMeshScene:
    """A ball that starts a twelfth too small, and exact views of a coloured one."""
    pictures, _, _, cameras = ball_views()
    return fuse_on_surface(ball(RADIUS - 0.05), Bank(cameras, pictures[:, None]), distillation(), SECTION)


def test_a_ball_too_small_grows_to_its_outlines(grown):
    found = radii(grown)
    assert float(found.mean()) == pytest.approx(RADIUS, abs=PIXEL / 4)
    assert float((found - RADIUS).abs().max()) < 0.75 * PIXEL


def test_its_colours_are_those_of_the_views(grown):
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=1) * RADIUS
    points = points[points[:, 1].abs() < 0.4]  # what the cameras see
    exact = 0.5 + 0.35 * torch.sin(5 * points + torch.tensor([0.0, 1.0, 2.0]))
    error = (grown.colour(points) - exact).abs()
    assert float(error.mean()) < 0.03
    assert float((exact - 0.5).abs().mean()) > 0.15  # so much is wrong before


def test_a_view_that_was_not_given_is_right(grown):
    camera = turntable(7, 20.0, 4.0, 3.0)[3]
    origins, directions = camera.rays(SIZE)
    across = (origins * directions).sum(-1)
    hit = (across**2 - origins.square().sum(-1) + RADIUS**2 > 0).reshape(1, 1, SIZE, SIZE)
    views = grown.render(camera, SIZE)
    found = views.alpha > 0.5
    assert (found & hit).sum() / (found | hit).sum() > 0.97
    assert float(views.depth[0, 0, SIZE // 2, SIZE // 2]) == pytest.approx(4 - RADIUS, abs=0.03)
    assert ((views.alpha > 0.1) & (views.alpha < 0.9)).any()  # outlines are smooth


def test_the_surface_is_the_mesh_itself_and_comes_back_from_its_file(grown, tmp_path):
    grown.save(tmp_path)
    again, _ = load_scene(tmp_path)
    camera = turntable(1, 20.0, 4.0, 3.0)
    for part in ("rgb", "alpha", "depth"):
        assert torch.equal(getattr(again.render(camera, SIZE), part), getattr(grown.render(camera, SIZE), part))
    mesh = again.surface(8, cameras=camera)
    np.testing.assert_array_equal(mesh.vertices, grown.vertices.numpy())
    np.testing.assert_array_equal(mesh.faces, grown.faces.numpy())
    assert mesh.trimesh().is_watertight and mesh.trimesh().volume > 0 and mesh.level is None


def test_outlines_of_the_coarse_scene_hold_the_surface_where_hypotheses_say_nothing(monkeypatch):
    """White on white, and a start that is a tenth too small: the silhouettes alone pull it back."""
    scene, cameras = ball(RADIUS), turntable(12, 20.0, 4.0, 3.0)
    white = Bank(cameras, torch.ones(12, 1, 3, SIZE, SIZE))

    def smaller(*given: object) -> MovingMesh:
        mesh = start_from(*given)
        mesh.start = 0.9 * mesh.start
        return mesh

    monkeypatch.setattr(surface_fusion, "start_from", smaller)
    held = fuse_on_surface(scene, white, distillation(), SECTION.model_copy(update={"silhouette_weight": 1.0}))
    free = fuse_on_surface(scene, white, distillation(), SECTION)
    whole = float(radii(start_from(scene.coarse, white, SECTION).scene(1.0)).mean())
    assert float(radii(held).mean()) == pytest.approx(whole, abs=PIXEL / 4)
    assert float(radii(free).mean()) < 0.95 * whole


@pytest.mark.parametrize(("cells", "resolution"), [(20, 32), (24, 16), (16, 40)])
def test_vertices_stay_where_colours_are(cells: int, resolution: int) -> None:
    """A ball that hypotheses show far larger pulls its vertices outwards for longer than they may go: no point of its faces,
    drawn at random, has one of the voxels around it without a colour, and what was within reach was not touched."""
    section = SECTION.model_copy(update={"cells": cells, "resolution": resolution, "vertex_rate": 0.5, "steps": 24})
    cameras = turntable(8, 20.0, 4.0, 3.0)
    bank = in_colours(ball(2 * RADIUS / 1.5), cameras, (0.8, 0.2, 0.2))
    scene = fuse_on_surface(ball(RADIUS / 1.5), bank, distillation(), section)
    first = start_from(ball(RADIUS / 1.5).coarse, bank, section)
    moved = (scene.vertices - first.start).abs().amax() / first.cell
    assert float(moved) == pytest.approx(first.reach, rel=1e-3)  # it does pull so far
    shares = torch.distributions.Dirichlet(torch.ones(3)).sample((200,))
    points = torch.einsum("pk,fkc->pfc", shares, scene.vertices[scene.faces]).reshape(-1, 3)
    around, _ = corners(points, resolution, 1.0)
    assert (scene.colours.index.flatten()[around] > 0).all()
    within = 0.99 * first.reach * (2 * torch.rand_like(first.offsets) - 1)
    first.offsets.data.copy_(within)
    first.hold()
    assert torch.equal(first.offsets, within)


def test_squared_error_takes_the_first_hypothesis_and_patch_remix_the_nearest():
    red, blue = (0.8, 0.2, 0.2), (0.2, 0.2, 0.8)
    scene, cameras = ball(RADIUS, (0.3, 0.3, 0.7)), turntable(8, 20.0, 4.0, 3.0)
    bank, found = in_colours(scene, cameras, red, blue), {}
    for loss in ("mse", "patch_remix"):
        mesh = fuse_on_surface(scene, bank, distillation(loss=loss), SECTION.model_copy(update={"steps": 32}))
        found[loss] = mesh.render(cameras[0], SIZE).rgb[0, :, SIZE // 2, SIZE // 2]
    torch.testing.assert_close(found["mse"], torch.tensor(red), atol=0.1, rtol=0)
    torch.testing.assert_close(found["patch_remix"], torch.tensor(blue), atol=0.1, rtol=0)


def test_a_seed_gives_the_same_bytes_and_a_killed_fusion_goes_on_to_them(tmp_path, monkeypatch):
    scene, cameras = ball(RADIUS), turntable(8, 20.0, 4.0, 3.0)
    bank, section = in_colours(scene, cameras, (0.8, 0.2, 0.2)), SECTION.model_copy(update={"steps": 12})
    whole, twice = (fuse_on_surface(scene, bank, distillation(), section).tensors() for _ in range(2))
    assert all(torch.equal(whole[name], twice[name]) for name in whole)
    once, calls = surface_fusion.top_k_error, []

    def dies(*given: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return once(*given)

    monkeypatch.setattr(surface_fusion, "top_k_error", dies)
    with pytest.raises(KeyboardInterrupt):
        fuse_on_surface(scene, bank, distillation(), section, tmp_path / "state", "stamp")
    resumed = fuse_on_surface(scene, bank, distillation(), section, tmp_path / "state", "stamp").tensors()
    assert len(calls) == 8 + 12 - 5  # what was kept after the fifth step
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not (tmp_path / "state").exists()


def test_an_empty_scene_stays_empty(tmp_path):
    cameras = turntable(4, 20.0, 4.0, 3.0)
    nothing = fuse_on_surface(ball(0.0), Bank(cameras, torch.ones(4, 2, 3, SIZE, SIZE)), distillation(), SECTION)
    nothing.save(tmp_path)
    again, _ = load_scene(tmp_path)
    assert (again.render(cameras, SIZE).rgb == 1).all() and not len(again.surface(8).faces)


def test_a_surface_has_no_floaters_from_the_start_and_the_page_says_so() -> None:
    """A ball, and a speck beside it that the coarse scene's own surface has."""
    centres = voxel_centres(48, 1.0)
    nearest = torch.minimum(centres.norm(dim=1) - 0.8, (centres - torch.tensor([0.85, 0.85, 0.85])).norm(dim=1) - 0.05)
    grid = torch.cat([(-60 * nearest).clamp(-8, 8)[None], torch.zeros(3, 48**3)]).reshape(1, 4, 48, 48, 48)
    coarse, cameras = VoxelScene(grid, PlainDecoder(20.0), FACTS), turntable(4, 20.0, 4.0, 3.0)
    section = SECTION.model_copy(update={"cells": 48})
    assert pieces(coarse.surface(48, None, cameras).trimesh())[0] == 2
    fused = start_from(coarse, Bank(cameras, torch.ones(4, 1, 3, SIZE, SIZE)), section).scene(1.0)
    assert pieces(fused.surface().trimesh()) == (1, 0.0)
    note = next(group.note for group in GROUPS if group.name == "geometry")
    assert "fused on a surface" in note and "0 by construction" in note


def test_score_distillation_is_refused():
    with pytest.raises(UserError, match=r"distillation\.loss: sds; a surface is fused with patch_remix or mse"):
        fuse_on_surface(ball(RADIUS), None, distillation(loss="sds"), SECTION)


def test_tensors_of_another_shape_are_refused(grown):
    tensors = grown.tensors()
    with pytest.raises(ValueError, match="tensor colours is of shape"):
        PaintedMeshScene.from_tensors(tensors | {"colours": tensors["colours"][:, :2]}, grown.facts)
    with pytest.raises(ValueError, match="names vertices that are not there"):
        PaintedMeshScene.from_tensors(tensors | {"vertices": tensors["vertices"][:5]}, grown.facts)


def test_a_lattice_is_all_patches_that_show_something():
    candidates = torch.zeros(20, 20, dtype=torch.bool)
    candidates[6:14, 6] = True
    for seed in range(10):
        pixels = lattice_of(20, 4, candidates, torch.Generator().manual_seed(seed))
        rows, columns = pixels // 20, pixels % 20
        assert len(torch.stack([rows.amin(1) % 4, columns.amin(1) % 4], 1).unique(dim=0)) == 1
        assert (rows.amax(1) - rows.amin(1) == 3).all() and (columns.amax(1) - columns.amin(1) == 3).all()
        assert candidates.flatten()[pixels].sum() == 8  # each once


def test_regularisation_of_shapes_that_are_known():
    """Two faces at a right angle, and a mesh that moves as a whole."""
    start = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = torch.tensor([[0, 1, 2], [1, 0, 3]])
    search = FaceSearch(faces)
    assert len(search.edges) == 5 and face_pairs(search).tolist() == [[0, 1]]
    mesh = MovingMesh(start, faces, None, 0.5, 3.0)
    assert bending(mesh.vertices, faces, mesh.pairs).item() == pytest.approx(1.0)
    mesh.offsets.data += torch.tensor([1.0, -2.0, 0.5])
    assert mesh.unevenness().item() == pytest.approx(0.0)
    torch.testing.assert_close(mesh.vertices, start + torch.tensor([0.5, -1.0, 0.25]))
    mesh.offsets.data[2, 0] += 2.0  # its neighbours 0 and 1 have three each
    assert mesh.unevenness().item() == pytest.approx((4 + 2 * (2 / 3) ** 2) / 4)
