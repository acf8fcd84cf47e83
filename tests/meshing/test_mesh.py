"""Files of meshes, read back by another library, and drawn by PyTorch3D: they have to show what the field shows."""

from __future__ import annotations

import json
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from pytorch3d.renderer import RasterizationSettings
from pytorch3d.renderer.mesh import MeshRasterizer
from pytorch3d.structures import Meshes
from torch import Tensor

from holofusion.cameras import Cameras, turntable
from holofusion.meshing.cleaning import decimated, without_floaters
from holofusion.meshing.mesh import Mesh, open_edges, pieces
from holofusion.meshing.surface import surface_mesh
from holofusion.rendering.rays import Rays
from holofusion.rendering.views import Views
from holofusion.utils.files import UserError

CAMERAS = Cameras.cat([turntable(3, 25.0, 4.0, 2.8), turntable(1, -30.0, 4.0, 2.8)])
SIZE = 64
PARTS = ((torch.zeros(3), 0.5), (torch.tensor([0.5, 0.25, 0.1]), 0.2), (torch.tensor([0.1, -0.2, 0.55]), 0.15))


def inside(points: Tensor) -> Tensor:
    """How deep points (N, 3) lie in the nearest of three balls, no mirror image or turn of which is alike."""
    return torch.stack([radius - (points - centre).norm(dim=1) for centre, radius in PARTS]).amax(0)


class Balls:
    """A solid known in closed form: three joined balls, coloured by place, with sharp edges and nothing around them."""

    def density(self, points: Tensor) -> Tensor:
        return (400 * inside(points) + 20).clamp(0, 400)

    def colour(self, points: Tensor) -> Tensor:
        return torch.stack([points[:, 0] + 1, 1 - points[:, 1], 0.5 + 0.5 * torch.sin(8 * points[:, 2])], 1) / 2

    def render(self, cameras: Cameras, size: int) -> Views:
        """Views by intersecting every ray with every ball."""
        rays = Rays.through(cameras, size)
        origins, directions = rays.origins.flatten(0, 1), rays.directions.flatten(0, 1)
        depth = torch.full((len(origins),), torch.inf)
        for centre, radius in PARTS:
            offset = origins - centre
            along = (offset * directions).sum(1)
            root = along.square() - offset.square().sum(1) + radius**2
            depth = torch.where(root > 0, torch.minimum(depth, -along - root.clamp_min(0).sqrt()), depth)
        hit = depth < torch.inf
        colour = torch.where(hit[:, None], self.colour(origins + depth.nan_to_num(0, 0)[:, None] * directions), 1.0)
        alpha = hit.float().reshape(len(cameras), 1, size, size)
        return Views(colour.reshape(len(cameras), -1, 3).transpose(1, 2).reshape(-1, 3, size, size), alpha, alpha)


@pytest.fixture(scope="module")
def surface() -> Mesh:
    return surface_mesh(Balls(), 96, None, 1.0, cameras=CAMERAS)


def drawn_by_pytorch3d(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Opacity (B, S, S) and colour (B, S, S, 3) of a file, loaded by trimesh: the texture's nearest texel at each pixel."""
    mesh = trimesh.load_mesh(path, process=False)
    vertices, faces = torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(np.asarray(mesh.faces))
    material = mesh.visual.material
    picture = np.asarray(getattr(material, "baseColorTexture", None) or material.image).astype(float)[..., :3] / 255
    settings = RasterizationSettings(image_size=SIZE, perspective_correct=True, bin_size=0)
    found = []
    for index in range(len(CAMERAS)):
        meshes, camera = Meshes([vertices], [faces]), CAMERAS[index].to_pytorch3d(SIZE)
        seen = MeshRasterizer(camera, settings)(meshes)
        face = seen.pix_to_face[0, ..., 0].numpy()
        shares = seen.bary_coords[0, ..., 0, :].numpy()[..., None]
        place = (np.asarray(mesh.visual.uv)[np.asarray(mesh.faces)[face]] * shares).sum(2)  # from the lower left
        side = len(picture)
        column = (place[..., 0] * side).astype(int).clip(0, side - 1)
        row = ((1 - place[..., 1]) * side).astype(int).clip(0, side - 1)
        found.append((face >= 0, picture[row, column]))
    return tuple(np.stack(part) for part in zip(*found, strict=True))


@pytest.mark.parametrize("suffix", ["glb", "obj"])
def test_a_file_shows_what_the_field_shows(surface: Mesh, tmp_path: Path, suffix: str) -> None:
    surface.export(tmp_path / f"balls.{suffix}", faces=2000, texture=512)
    true = Balls().render(CAMERAS, SIZE)
    alpha, colour = drawn_by_pytorch3d(tmp_path / f"balls.{suffix}")
    opaque = true.alpha[:, 0].numpy() > 0.5
    # a fifth of a pixel along the whole outline of a disc of 24 pixels across is 3 % of it
    assert (alpha & opaque).sum() / (alpha | opaque).sum() > 0.97
    assert (alpha[:, :, ::-1] & opaque).sum() / (alpha[:, :, ::-1] | opaque).sum() < 0.9
    error = np.abs(colour - true.rgb.permute(0, 2, 3, 1).numpy())[alpha & opaque]
    # a cell of 1/48 to either side of the surface changes the fastest colour, 4 per unit, by 0.04 on average
    assert error.mean() < 0.015 and np.quantile(error, 0.99) < 0.1


def test_own_pictures_are_those_of_pytorch3d_but_smoother(surface: Mesh, tmp_path: Path) -> None:
    mesh = surface.textured(2000, 512)
    mesh.export(tmp_path / "balls.glb")
    alpha, colour = drawn_by_pytorch3d(tmp_path / "balls.glb")
    views = mesh.render(CAMERAS, SIZE)
    assert ((views.alpha[:, 0].numpy() > 0.5) != alpha).mean() < 0.005
    whole = (views.alpha[:, 0].numpy() == 1) & alpha
    assert np.abs(views.rgb.permute(0, 2, 3, 1).numpy() - colour)[whole].mean() < 0.01
    assert (views.rgb[:, :, 0, 0] == 1).all() and (views.alpha[:, :, 0, 0] == 0).all()
    middle = views.depth[0, 0, SIZE // 2, SIZE // 2]
    assert middle == pytest.approx(
        3.45, abs=0.12
    )  # four units from the middle of balls that reach 0.4 to 0.7 before it


def test_the_surface_is_closed_in_one_piece_outwards_and_within_the_budget(surface: Mesh) -> None:
    mesh = surface.textured(1000, 256).trimesh()
    assert 900 < len(mesh.faces) <= 1000 and mesh.is_watertight and mesh.is_winding_consistent
    assert (open_edges(mesh), pieces(mesh)[0]) == (0, 1)
    ball = 4 / 3 * np.pi * 0.5**3
    assert ball < mesh.volume < 1.2 * ball
    outside, within = (mesh.triangles_center + step * mesh.face_normals for step in (0.02, -0.02))
    assert (
        inside(torch.tensor(outside, dtype=torch.float32)) < 0
    ).float().mean() > 0.98  # the rest lies in the creases
    assert (inside(torch.tensor(within, dtype=torch.float32)) > 0).float().mean() > 0.98


def test_glb_is_as_the_standard_says(surface: Mesh) -> None:
    mesh = surface.textured(500, 64)
    content = mesh.glb()
    magic, version, length, chunk = struct.unpack("<4sIII", content[:16])
    assert (magic, version, length) == (b"glTF", 2, len(content)) and len(content) % 4 == 0
    tree, data = json.loads(content[20 : 20 + chunk]), content[28 + chunk :]
    assert tree["meshes"][0]["primitives"][0]["attributes"].keys() == {"POSITION", "NORMAL", "TEXCOORD_0"}
    views, used = tree["bufferViews"], 0
    for view in views:
        assert view["byteOffset"] == used and used % 4 == 0
        used += view["byteLength"] + -view["byteLength"] % 4
    assert used == len(data) == tree["buffers"][0]["byteLength"]
    picture = data[views[-1]["byteOffset"] :][: views[-1]["byteLength"]]
    assert picture == mesh.png() and tree["images"][0]["mimeType"] == "image/png"
    normals = np.frombuffer(data, "<f4", 3 * len(mesh.places), views[1]["byteOffset"]).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)


def test_seams_are_not_in_the_surface(surface: Mesh, tmp_path: Path) -> None:
    surface.export(tmp_path / "a.glb", 500, 64)
    split = trimesh.load_mesh(tmp_path / "a.glb", process=False)
    assert not split.is_watertight
    split.merge_vertices(merge_tex=True, merge_norm=True)
    assert split.is_watertight and len(split.vertices) == len(surface.textured(500, 64).vertices)


def test_length_is_that_of_the_longest_side(surface: Mesh, tmp_path: Path) -> None:
    surface.export(tmp_path / "box.glb", 500, 64, length=1.0)
    bounds = trimesh.load_mesh(tmp_path / "box.glb", process=False).bounds
    assert np.ptp(bounds, axis=0).max() == pytest.approx(1) and np.abs(bounds.sum(0)).max() < 1e-6
    surface.export(tmp_path / "world.glb", 500, 64)
    np.testing.assert_allclose(trimesh.load_mesh(tmp_path / "world.glb", process=False).bounds[0], -0.5, atol=0.03)


def test_files_are_named_by_suffix(surface: Mesh, tmp_path: Path) -> None:
    surface.export(tmp_path / "a.ply")
    read = trimesh.load_mesh(tmp_path / "a.ply", process=False)
    np.testing.assert_array_equal(read.vertices, surface.vertices)
    np.testing.assert_array_equal(read.visual.vertex_colors[:, :3], surface.colours)
    surface.export(tmp_path / "b.obj", 500, 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ply", "b.mtl", "b.obj", "b.png"]
    with pytest.raises(UserError, match="a.stl: meshes are written as .ply, .glb or .obj"):
        surface.export(tmp_path / "a.stl")
    with pytest.raises(UserError, match="none.glb: the mesh has no faces"):
        Mesh(surface.vertices[:0], surface.faces[:0], surface.colours[:0], surface.paint).export(tmp_path / "none.glb")


def test_what_no_camera_sees_has_the_colour_beside_it() -> None:
    above = turntable(4, 60.0, 4.0, 2.8)

    class Painted(Balls):
        def colour(self, points: Tensor) -> Tensor:
            low = (points[:, 1:2] < -0.4).float()
            return torch.cat([low, 1 - low, torch.zeros_like(low)], 1)  # red below, green above

        def render(self, cameras: Cameras, size: int) -> Views:
            return Balls().render(cameras, size)

    below = turntable(1, -60.0, 4.0, 2.8)
    shown = [surface_mesh(Painted(), 48, 20.0, 1.0, cameras=c).textured(1000, 128) for c in (above, None)]
    views = [mesh.render(below, 32) for mesh in shown]
    red = [float(view.rgb[0, 0][view.alpha[0, 0] == 1].mean()) for view in views]
    assert red[0] < 0.02 and red[1] > 0.15


def test_small_pieces_go_and_the_largest_stays() -> None:
    large, small = trimesh.creation.icosphere(3), trimesh.creation.icosphere(0)
    both = large + small.apply_translation((3, 0, 0))
    vertices, faces = without_floaters(both.vertices, both.faces)  # 20 faces of 1300 are more than 1 %
    assert len(faces) == 1300
    both = trimesh.creation.icosphere(4) + small
    vertices, faces = without_floaters(both.vertices, both.faces)
    assert (len(faces), len(vertices)) == (5120, 2562) and vertices[:, 0].max() < 1.01
    crumbs = trimesh.util.concatenate([small.copy().apply_translation((3 * n, 0, 0)) for n in range(150)])
    assert len(without_floaters(crumbs.vertices, crumbs.faces)[1]) == 3000
    assert len(without_floaters(both.vertices[:0], both.faces[:0])[1]) == 0


def test_fewer_faces_keep_the_shape_and_few_are_left_alone() -> None:
    ball = trimesh.creation.icosphere(4)
    vertices, faces = decimated(ball.vertices, ball.faces, 800)
    fewer = trimesh.Trimesh(vertices, faces, process=False)
    assert len(faces) <= 800 and fewer.is_watertight and fewer.volume == pytest.approx(ball.volume, rel=0.02)
    assert decimated(ball.vertices, ball.faces, 6000)[1] is ball.faces


def test_a_method_s_own_mesh_keeps_its_faces() -> None:
    ball = trimesh.creation.icosphere(3)
    colours = np.zeros((len(ball.vertices), 3), np.uint8)
    paint = partial(lambda points, normals: (normals + 1) / 2)
    mesh = Mesh(ball.vertices.astype(np.float32), ball.faces, colours, paint).textured(100, 128)
    np.testing.assert_array_equal(mesh.faces, ball.faces)
    seen = mesh.render(turntable(1, 0.0, 4.0, 2.8), 64)
    np.testing.assert_allclose(seen.rgb[0, :, 32, 32], [0.5, 0.5, 1], atol=0.04)  # from +z: its normal
