"""Meshes packed for the page."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from holofusion.meshing.textured import TexturedMesh
from holofusion.report.viewer import TEXTURE_BYTES, pack, read_mesh
from holofusion.utils.files import UserError, write_json
from tests.report.shapes import square, write_textured

HOSTILE = "</script><script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"


def numbers(entry: dict, key: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(entry[key]), kind).reshape(-1, 2 if key == "uvs" else 3)


def picture(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))


def test_pack_gives_back_the_mesh(tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=2.5)
    draw = np.random.default_rng(0)
    mesh.vertices = mesh.vertices * [1.0, 0.3, 0.7] + [0.2, 0.0, -0.1]
    mesh.visual.vertex_colors = draw.integers(0, 256, (len(mesh.vertices), 3))
    path = tmp_path / "mesh.ply"
    mesh.export(path)
    (entry,) = json.loads(pack([("HoloFusion", 7, path)]))
    assert (entry["label"], entry["seed"]) == ("HoloFusion", 7)
    assert (entry["vertices"], entry["faces"]) == (len(mesh.vertices), len(mesh.faces))
    positions = numbers(entry, "positions", "<i2") * entry["scale"]
    assert np.abs(positions - mesh.vertices).max() <= entry["scale"] * 0.51
    assert entry["scale"] == pytest.approx(np.abs(mesh.vertices).max() / 32767, rel=1e-6)
    assert entry["radius"] == pytest.approx(np.linalg.norm(mesh.vertices, axis=1).max(), rel=1e-6)
    assert (numbers(entry, "colours", "u1") == mesh.visual.vertex_colors[:, :3]).all()
    assert (numbers(entry, "indices", "<u2") == mesh.faces).all()
    assert not {"uvs", "texture"} & entry.keys()


def test_pack_gives_back_the_texture(quarters: Path) -> None:
    (entry,) = json.loads(pack([("a", 0, quarters)]))
    mesh = trimesh.load_mesh(quarters, process=False)
    np.testing.assert_allclose(numbers(entry, "positions", "<i2") * entry["scale"], mesh.vertices, atol=entry["scale"])
    np.testing.assert_array_equal(numbers(entry, "indices", "<u2"), mesh.faces)
    from_above = mesh.visual.uv * (1, -1) + (0, 1)  # trimesh counts from the lower left corner
    np.testing.assert_allclose(numbers(entry, "uvs", "<u2") / 65535, from_above, atol=1e-5)
    shown, there = picture(entry["texture"]), mesh.visual.material.baseColorTexture.convert("RGB")
    assert (shown.format, shown.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.array(shown), np.array(there))
    assert "colours" not in entry


def test_seams_stay(tmp_path: Path) -> None:
    """Two faces share an edge, but not in the texture: as many vertices as the file has."""
    corners, faces = square(np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.5)
    places, texture = np.random.default_rng(0).random((6, 2)), np.zeros((64, 64, 3), np.uint8)
    TexturedMesh(corners.astype(np.float32), faces, places, np.arange(6).reshape(2, 3), texture).export(
        tmp_path / "a.glb"
    )
    (entry,) = json.loads(pack([("a", 0, tmp_path / "a.glb")]))
    assert (entry["vertices"], entry["faces"]) == (6, 2)
    np.testing.assert_allclose(numbers(entry, "uvs", "<u2") / 65535, places, atol=1e-5)


def test_a_texture_takes_few_bytes(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (64, 64, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    noise = (noise * 0.75 + draw.integers(0, 64, noise.shape)).astype(np.uint8)
    path = write_textured(tmp_path / "noise.glb", noise)
    meshes = [("a", 0, path), ("b", 0, path)]
    for entry in json.loads(pack(meshes)):
        shown = picture(entry["texture"])
        assert (shown.format, shown.size) == ("JPEG", (256, 256))
        assert TEXTURE_BYTES / 4 < len(entry["texture"]) * 3 / 4 < TEXTURE_BYTES + 30
        there = noise.reshape(256, 2, 256, 2, 3).mean((1, 3))
        assert np.abs(np.array(shown) - there).mean() < 6
    assert sum(len(entry["texture"]) for entry in json.loads(pack(meshes, 100_000))) <= 100_060
    assert picture(json.loads(pack(meshes, 1))[0]["texture"]).size == (64, 64)  # never less


def test_a_repeated_texture_becomes_colours(tmp_path: Path) -> None:
    corners, faces = square(np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.5)
    texture = np.full((8, 8, 3), 90, np.uint8)
    TexturedMesh(corners.astype(np.float32), faces, 3 * corners[:, :2], faces, texture).export(tmp_path / "a.glb")
    (entry,) = json.loads(pack([("a", 0, tmp_path / "a.glb")]))
    assert (numbers(entry, "colours", "u1") == 90).all() and "texture" not in entry


def test_a_scaled_file_is_put_back_in_place(tmp_path: Path) -> None:
    path = write_textured(tmp_path / "000003.glb", np.zeros((64, 64, 3), np.uint8))
    file = {"center": [0.5, 0.0, -1.0], "unit": 2.0}
    write_json(tmp_path / "meshes.json", {"scenes": [{"seed": 0, "file": None}, {"seed": 3, "file": file}]})
    vertices = read_mesh(path).vertices
    np.testing.assert_allclose([vertices.min(0), vertices.max(0)], [[-0.5, -1, -1], [1.5, 1, -1]], atol=1e-6)


@pytest.mark.parametrize(("count", "kind"), [(65535, "<u2"), (65538, "<u4")])
def test_pack_widens_indices_only_when_it_must(tmp_path: Path, count: int, kind: str) -> None:
    vertices = np.random.default_rng(0).normal(size=(count, 3))
    faces = np.arange(count).reshape(-1, 3)[::-1]
    path = tmp_path / "mesh.ply"
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    (entry,) = json.loads(pack([("a", 0, path)]))
    assert (numbers(entry, "indices", kind) == faces).all()


def test_pack_stays_inside_its_script_element(cube: Path) -> None:
    text = pack([(HOSTILE, 0, cube)])
    assert "<" not in text
    assert json.loads(text)[0]["label"] == HOSTILE


def test_pack_names_a_broken_file(cube: Path, tmp_path: Path) -> None:
    whole = cube.read_bytes()
    body = whole.index(b"end_header") + 11
    wrong = bytearray(whole)
    wrong[-4:] = (99).to_bytes(4, "little")
    cases = {"cut": whole[:-20], "text": b"not a mesh", "empty": b"", "header": whole[:body], "index": bytes(wrong)}
    for name, content in cases.items():
        path = tmp_path / f"{name}.ply"
        path.write_bytes(content)
        with pytest.raises(UserError, match=re.escape(str(path))):
            pack([("a", 0, path)])
    with pytest.raises(UserError, match="absent.ply: no such file"):
        pack([("a", 0, tmp_path / "absent.ply")])
