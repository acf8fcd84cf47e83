"""Files of meshes, read back by another library and against the standard's table of the sRGB curve."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from holofusion.meshing.mesh import Mesh
from holofusion.utils.files import UserError


def tetrahedron() -> Mesh:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    colours = np.array([[0, 10, 50], [128, 188, 255], [1, 11, 200], [90, 90, 90]], np.uint8)
    return Mesh(corners, faces, colours, 1.0)


def test_glb_holds_linear_colours_and_the_same_surface():
    mesh = tetrahedron()
    content = mesh.glb()
    magic, version, length, chunk = struct.unpack("<4sIII", content[:16])
    assert (magic, version, length) == (b"glTF", 2, len(content)) and len(content) % 4 == 0
    tree = json.loads(content[20 : 20 + chunk])
    assert tree["meshes"][0]["primitives"][0]["attributes"].keys() == {"POSITION", "COLOR_0"}
    stream = trimesh.util.wrap_as_stream(content)
    (found,) = trimesh.load_scene(stream, file_type="glb", process=False).geometry.values()
    np.testing.assert_array_equal(found.vertices, mesh.vertices)
    np.testing.assert_array_equal(found.faces, mesh.faces)
    assert found.volume > 0
    colours = found.visual.vertex_attributes["color"] / 65535
    # from a table of the sRGB curve (IEC 61966-2-1)
    np.testing.assert_allclose(colours[0], [0, 0.003035, 0.031896, 1], atol=2e-5)
    np.testing.assert_allclose(colours[1], [0.215861, 0.502886, 1, 1], atol=2e-5)


def test_a_mesh_is_written_by_its_suffix(tmp_path: Path) -> None:
    mesh = tetrahedron()
    for suffix in ("ply", "glb"):
        mesh.export(tmp_path / f"a.{suffix}")
        read = trimesh.load_mesh(tmp_path / f"a.{suffix}", process=False)
        np.testing.assert_array_equal(read.vertices, mesh.vertices)
        assert read.volume == pytest.approx(1 / 6)
    read = trimesh.load_mesh(tmp_path / "a.ply", process=False)
    np.testing.assert_array_equal(read.visual.vertex_colors[:, :3], mesh.colours)
    with pytest.raises(UserError, match="a.obj: meshes are written as .ply or .glb"):
        mesh.export(tmp_path / "a.obj")
    with pytest.raises(UserError, match="none.glb: the mesh has no faces"):
        Mesh(mesh.vertices[:0], mesh.faces[:0], mesh.colours[:0]).export(tmp_path / "none.glb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.glb", "a.ply"]
