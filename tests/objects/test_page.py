"""What a folder holds to look at, and surfaces as the page shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from holofusion.objects.find import find
from holofusion.objects.page import write_page
from holofusion.report.viewer import Surface, read_mesh, thinned
from holofusion.utils.files import UserError

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
COLOURS = np.array([[0, 10, 50], [128, 188, 255], [1, 11, 200], [90, 90, 90]], np.uint8)


def write(path: Path) -> None:
    """A tetrahedron with a colour at each corner."""
    trimesh.Trimesh(CORNERS, FACES, vertex_colors=COLOURS, process=False).export(path)


def test_meshes_of_a_results_folder_are_named_by_run_and_seed(tmp_path: Path) -> None:
    for run in ("pigan-hydrant-s0", "eg3d-hydrant-s0"):
        for seed in (0, 12):
            (tmp_path / run / "3").mkdir(parents=True, exist_ok=True)
            write(tmp_path / run / f"3/{seed:06d}.ply")
            write(tmp_path / run / f"3/{seed:06d}.glb")
    (tmp_path / ".pigan.abc/pigan-hydrant-s0").mkdir(parents=True)
    write(tmp_path / ".pigan.abc/pigan-hydrant-s0/000005.ply")  # of a run that was stopped
    found = [(each.label, each.seed, each.mesh.suffix) for each in find(tmp_path) if each.mesh]
    runs = ("eg3d-hydrant-s0", "pigan-hydrant-s0")
    assert found == [(run, seed, ".glb") for run in runs for seed in (0, 12)]
    text = write_page(tmp_path).read_text()
    (data,) = re.findall(r'id="viewer-meshes">(.*?)</script>', text, re.DOTALL)
    assert [(entry["label"], entry["seed"], entry["faces"]) for entry in json.loads(data)] == [
        (run, seed, 4) for run in runs for seed in (0, 12)
    ]


def test_labels_are_text(tmp_path: Path) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    write(folder / "000001.ply")
    assert "<img src=x" not in write_page(tmp_path).read_text()


def test_a_folder_without_objects_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: no scenes (scene.json) and no meshes")):
        write_page(tmp_path)
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_colours_are_those_that_are_seen(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a.{suffix}")
    _, faces, colours, skin = read_mesh(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(faces, FACES)
    np.testing.assert_allclose(colours, COLOURS, atol=0.6)
    assert skin is None


def write_textured(folder: Path) -> Surface:
    """A tetrahedron with a texture of two texels, as a file and as it is read."""
    picture = Image.new("RGB", (2, 1), (250, 0, 0))
    picture.putpixel((1, 0), (0, 0, 240))
    at = np.array([[0.25, 0.5], [0.75, 0.5], [0.75, 0.5], [0.25, 0.5]])
    visual = trimesh.visual.TextureVisuals(at, image=picture)
    trimesh.Trimesh(CORNERS, FACES, visual=visual, process=False).export(folder / "a.glb")
    return read_mesh(folder / "a.glb")


def test_a_texture_colours_the_vertices_of_a_surface_that_is_thinned(tmp_path: Path) -> None:
    surface = write_textured(tmp_path)
    np.testing.assert_array_equal(surface.colours, [[250, 0, 0], [0, 0, 240], [0, 0, 240], [250, 0, 0]])
    assert thinned(surface, 4) is surface
    assert thinned(surface, 3).skin is None


def test_a_page_shows_textures(tmp_path: Path) -> None:
    write_textured(tmp_path)
    trimesh.Trimesh(CORNERS, FACES, vertex_colors=COLOURS, process=False).export(tmp_path / "a.ply")
    (data,) = re.findall(r'id="viewer-meshes">(.*?)</script>', write_page(tmp_path).read_text(), re.DOTALL)
    (entry,) = json.loads(data)
    assert entry["texture"].startswith("data:image/png;base64,") and "colours" not in entry


def test_vertices_at_seams_become_one() -> None:
    colours = np.concatenate([COLOURS, [[40, 10, 50]]])
    doubled = Surface(np.concatenate([CORNERS, CORNERS[:1]]), FACES.copy(), colours)
    doubled.faces[0, 0] = 4
    vertices, faces, colours, _ = thinned(doubled, 100)
    order = [int(np.flatnonzero((vertices == corner).all(1))[0]) for corner in CORNERS]
    assert len(vertices) == 4
    np.testing.assert_array_equal(faces, np.array(order)[FACES])
    np.testing.assert_array_equal(colours[order], [[20, 10, 50], *COLOURS[1:].tolist()])


def test_thinning_keeps_the_surface() -> None:
    ball = trimesh.creation.icosphere(subdivisions=5)
    colours = np.rint((ball.vertices + 1) * 127.5)
    surface = Surface(ball.vertices, ball.faces, colours)
    vertices, faces, seen, _ = thinned(surface, 4000)
    assert 1500 < len(faces) <= 4000 < len(ball.faces)
    smaller = trimesh.Trimesh(vertices, faces, process=False)
    assert smaller.volume == pytest.approx(4 / 3 * np.pi, rel=0.02)
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1, atol=0.02)
    np.testing.assert_allclose(seen, (vertices + 1) * 127.5, atol=2)
    assert thinned(surface, 10**6).faces is ball.faces
