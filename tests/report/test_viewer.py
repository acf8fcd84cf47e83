"""Meshes packed for the page, and the viewer that draws them, in a real browser where there is one."""

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
from holofusion.report.viewer import TEMPLATES, TEXTURE_BYTES, pack, read_mesh, script
from holofusion.utils.files import UserError, write_json
from tests.report.browser import browse

HOSTILE = "</script><script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"
FRONT, RIGHT, TOP = (220, 40, 40), (40, 180, 60), (40, 70, 220)
COLOURS = {"+z": FRONT, "+x": RIGHT, "+y": TOP, "-z": (230, 200, 40), "-x": (200, 60, 200), "-y": (40, 200, 210)}
MARKS = {FRONT: (0.8, 0.0, 0.0), RIGHT: (-0.6, 0.3, 0.2), TOP: (0.1, 0.6, -0.4)}
QUARTERS = {FRONT: (-0.25, 0.25), RIGHT: (0.25, 0.25), TOP: (-0.25, -0.25), COLOURS["-z"]: (0.25, -0.25)}


def square(centre: np.ndarray, normal: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners and two faces of a square seen counterclockwise from the tip of its normal."""
    u = np.roll(np.abs(normal), 1)
    v = np.cross(normal, u)
    corners = [centre + half * (a * u + b * v) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return np.array(corners), np.array([[0, 1, 2], [0, 2, 3]])


def write_squares(path: Path, squares: list[tuple[np.ndarray, np.ndarray, float, tuple[int, int, int]]]) -> Path:
    """A mesh of (centre, normal, half side, colour) squares."""
    parts = [square(*item[:3]) for item in squares]
    vertices = np.concatenate([corners for corners, _ in parts])
    faces = np.concatenate([faces + 4 * number for number, (_, faces) in enumerate(parts)])
    colours = np.repeat([item[3] for item in squares], 4, axis=0)
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(path)
    return path


def write_picture(path: Path, texture: np.ndarray) -> Path:
    """A square of side 1 that faces +z and shows the texture upright."""
    corners, faces = square(np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.5)
    places = corners[:, :2] * (1, -1) + 0.5
    TexturedMesh(corners.astype(np.float32), faces, places, faces, texture).export(path)
    return path


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square with a texture of four colours."""
    texture = np.zeros((64, 64, 3), np.uint8)
    for colour, (x, y) in QUARTERS.items():
        texture[32 * (y < 0) :, 32 * (x > 0) :][:32, :32] = colour
    return write_picture(tmp_path_factory.mktemp("mesh") / "quarters.glb", texture)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square with a texture that is black and white by columns, far more than a canvas has."""
    texture = np.zeros((4096, 4096, 3), np.uint8)
    texture[:, ::2] = 255
    return write_picture(tmp_path_factory.mktemp("mesh") / "stripes.glb", texture)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube with six colours."""
    normals = {name: np.roll([1.0, 0.0, 0.0], "xyz".index(name[1])) * (1 if name[0] == "+" else -1) for name in COLOURS}
    squares = [(normal / 2, normal, 0.5, COLOURS[name]) for name, normal in normals.items()]
    return write_squares(tmp_path_factory.mktemp("mesh") / "cube.ply", squares)


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small squares that face +z, one colour each, at places without symmetry."""
    squares = [(np.array(place), np.array([0.0, 0.0, 1.0]), 0.06, colour) for colour, place in MARKS.items()]
    return write_squares(tmp_path_factory.mktemp("mesh") / "marks.ply", squares)


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
    path = write_picture(tmp_path / "noise.glb", noise)
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
    path = write_picture(tmp_path / "000003.glb", np.zeros((64, 64, 3), np.uint8))
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


# Virtual time stops giving animation frames once the page is loaded; timers go on.
FRAMES = "window.requestAnimationFrame = draw => setTimeout(draw, 16);"
# What the browser does by itself: a step, a rest until edges are smooth, what is seen then.
TOOLS = """
const [first, second] = document.querySelectorAll("canvas"), seen = {};
let draws = 0;
const put = CanvasRenderingContext2D.prototype.putImageData;
CanvasRenderingContext2D.prototype.putImageData = function (...all) { draws++; return put.apply(this, all); };
const rest = () => new Promise(done => setTimeout(done, 500));
const look = async name => {
  await rest();
  seen[name] = { first: first.toDataURL(), second: second.toDataURL(), state: { ...first.dataset } };
};
const pointer = (kind, x, y) => first.dispatchEvent(new PointerEvent(kind,
  { pointerId: 1, pointerType: "mouse", clientX: x, clientY: y, buttons: 1, bubbles: true, cancelable: true }));
const drag = (right, down) => {
  const box = first.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
  pointer("pointerdown", x, y);
  for (let i = 1; i <= 10; i++) pointer("pointermove", x + right * box.width * i / 10, y + down * box.height * i / 10);
  pointer("pointerup", x + right * box.width, y + down * box.height);
};
const key = name => first.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
const wheel = by => first.dispatchEvent(new WheelEvent("wheel", { deltaY: by, bubbles: true, cancelable: true }));
const tell = () => {
  const out = document.createElement("pre");
  out.id = "seen"; out.textContent = JSON.stringify(seen);
  document.body.append(out);
};
"""
DRIVER = """
(async () => {
  for (let i = 0; i < 4; i++) await rest();  // a busy machine lays the page out late
  await look("start");
  draws = 0; await rest(); seen.idle = draws;
  drag(-0.5, 0); await look("left");
  first.dispatchEvent(new MouseEvent("dblclick", { bubbles: true })); await look("reset");
  drag(0, 0.4); await look("down");
  key("0"); key("+"); key("+"); await look("plus");
  key("0"); wheel(-300); await look("unfocused");
  first.focus(); wheel(300); await look("wheel");
  key("0"); key("ArrowLeft"); await look("arrow");
  const [, , method] = document.querySelectorAll("select");
  seen.options = [...method.options].map(option => option.textContent);
  method.selectedIndex = 2; method.dispatchEvent(new Event("change"));
  await look("hostile");
  seen.captions = [...document.querySelectorAll("[aria-live]")].map(node => node.textContent);
  seen.name = second.getAttribute("aria-label");
  seen.title = document.title; seen.scripts = document.scripts.length; seen.shown = !viewer.hidden;
  tell();
})();
"""
TEXTURED = """
(async () => {
  for (let i = 0; i < 6; i++) await rest();
  await look("start");
  const mode = [...document.querySelectorAll("select")].at(-1);
  mode.value = "shape"; mode.dispatchEvent(new Event("change")); await look("shape");
  mode.value = "colour"; mode.dispatchEvent(new Event("change")); await look("colour");
  draws = 0; first.dispatchEvent(new Event("contextrestored")); await look("restored"); seen.restored.draws = draws;
  drag(-0.25, 0); await look("turned");
  key("0"); viewer.style.width = "500px"; await look("narrow");
  seen.captions = [...document.querySelectorAll("[aria-live]")].map(node => node.textContent);
  tell();
})();
"""


@pytest.fixture(scope="module")
def seen(cube: Path, marks: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a headless browser shows of a page with three meshes, step by step."""
    folder = tmp_path_factory.mktemp("browser")
    data = pack([("cube", 0, cube), ("marks", 0, marks), (HOSTILE, 3, cube)])
    return drive(data, DRIVER, folder)


@pytest.fixture(scope="module")
def textured(quarters: Path, stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The same of a page with two meshes that have textures."""
    data = pack([("quarters", 0, quarters), ("stripes", 0, stripes)])
    return drive(data, TEXTURED, tmp_path_factory.mktemp("browser"))


def drive(data: str, driver: str, folder: Path) -> dict:
    """What a script sees on a page with packed meshes."""
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>whole</title>'
        f'<style>{(TEMPLATES / "viewer.css").read_text()}</style></head><body><div id="viewer" class="viewer" hidden></div>'
        f'<script type="application/json" id="viewer-meshes">{data}</script>'
        f"<script>{FRAMES}</script><script>{script()}</script><script>{TOOLS}{driver}</script></body></html>"
    )
    (folder / "page.html").write_text(page)
    found, console = browse(folder / "page.html", "1000,900", folder / "profile")
    return {**found, "console": console}


def pixels(address: str) -> np.ndarray:
    """(height, width, 4) array of a canvas."""
    return np.array(picture(address).convert("RGBA")).astype(int)


def area(address: str) -> float:
    return float(pixels(address)[..., 3].sum() / 255)


def centre_is(address: str, colour: tuple[int, int, int]) -> bool:
    """Whether the pixel in the middle shows the colour, at most a little dimmed."""
    image = pixels(address)
    found = image[image.shape[0] // 2, image.shape[1] // 2, :3]
    return bool(np.abs(found - colour).max() <= 0.06 * max(colour))


def test_first_view_is_from_the_front(seen: dict) -> None:
    assert seen["shown"] and centre_is(seen["start"]["first"], FRONT)
    assert seen["start"]["state"] == {"azimuth": "0", "elevation": "12", "zoom": "1"}


def test_places_on_the_screen_are_those_of_a_pinhole_camera(seen: dict) -> None:
    """Nothing is mirrored."""
    image = pixels(seen["start"]["second"])
    for colour, place in MARKS.items():
        mine = (image[..., 3] > 127) & (np.abs(image[..., :3] - colour).sum(-1) < 60)
        row, column = np.argwhere(mine).mean(0) + 0.5
        assert (row, column) == pytest.approx(on_screen(image, np.array(place), np.sqrt(0.75)), abs=0.75)


def on_screen(image: np.ndarray, place: np.ndarray, radius: float, azimuth: float = 0) -> tuple[float, float]:
    """Row and column of a place: eye, look-at matrix and pinhole written out, +x to the right, +y up. radius: what fits."""
    height, width = image.shape[:2]
    tilt, turn, half_field = np.radians(12), np.radians(azimuth), np.radians(15)
    towards = np.array([np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)])
    eye, ahead = 1.04 * radius / np.sin(half_field) * towards, -towards
    right = np.cross(ahead, [0, 1, 0]) / np.cos(tilt)
    up = np.cross(right, ahead)
    focal = width / 2 / np.tan(half_field) / ((place - eye) @ ahead)
    return height / 2 - focal * ((place - eye) @ up), width / 2 + focal * ((place - eye) @ right)


@pytest.mark.parametrize(
    ("step", "azimuth"), [("start", 0), ("colour", 0), ("restored", 0), ("turned", 45), ("narrow", 0)]
)
def test_a_texture_is_where_it_belongs(textured: dict, step: str, azimuth: float) -> None:
    """Left, right, above and below, up to the texture's edges and to the lines between its quarters."""
    image = pixels(textured[step]["first"])
    assert float(textured[step]["state"]["azimuth"]) == pytest.approx(azimuth, abs=0.5)
    dim = 0.7 + 0.3 * np.cos(np.radians(azimuth)) * np.cos(np.radians(12))
    for colour, middle in QUARTERS.items():
        for x, y in ((0, 0), (0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2), (0.2, 0.2), (-0.2, -0.2)):
            place = np.array([middle[0] + x, middle[1] + y, 0.0])
            row, column = (int(value) for value in on_screen(image, place, np.sqrt(0.5), azimuth))
            assert np.abs(image[row, column, :3] - dim * np.array(colour)).max() <= 3, (place, colour)
            assert image[row, column, 3] == 255


def test_a_fine_texture_is_averaged(textured: dict) -> None:
    image = pixels(textured["start"]["second"])
    inside = image[image[..., 3] == 255][:, :3]
    assert len(inside) > 10_000 and np.abs(inside - 0.993 * 127.5).max() <= 3


def test_without_its_texture_a_surface_is_grey(textured: dict) -> None:
    image = pixels(textured["shape"]["first"])
    inside = image[image[..., 3] == 255][:, :3]
    assert len(np.unique(inside)) == 1 and inside[0, 0] > 150


def test_a_canvas_is_drawn_again_where_the_browser_lost_it(textured: dict) -> None:
    assert textured["restored"]["draws"] >= 1


def test_a_texture_is_named_and_the_console_stays_silent(textured: dict) -> None:
    assert textured["captions"] == ["quarters, sample 0: 2 faces, textured", "stripes, sample 0: 2 faces, textured"]
    assert not textured["console"]


def test_drag_turns_both_panes(seen: dict) -> None:
    turned = seen["left"]
    assert float(turned["state"]["azimuth"]) == pytest.approx(90, abs=0.5)
    assert centre_is(turned["first"], RIGHT)
    assert turned["second"] != seen["start"]["second"]
    assert float(seen["down"]["state"]["elevation"]) == pytest.approx(84, abs=0.5)
    assert centre_is(seen["down"]["first"], TOP)
    assert float(seen["arrow"]["state"]["azimuth"]) > 0


def test_reset_gives_the_first_picture_again(seen: dict) -> None:
    assert seen["reset"] == seen["start"]


def test_zoom_changes_the_size(seen: dict) -> None:
    start = area(seen["start"]["first"])
    assert area(seen["plus"]["first"]) / start == pytest.approx(1.15**4, rel=0.02)
    assert area(seen["wheel"]["first"]) < 0.6 * start
    assert seen["unfocused"] == seen["start"]  # the wheel scrolls the page until the viewer is used


def test_nothing_is_drawn_at_rest(seen: dict) -> None:
    assert seen["idle"] == 0


def test_labels_are_text(seen: dict) -> None:
    assert seen["options"] == ["cube", "marks", HOSTILE]
    assert seen["captions"] == ["cube, sample 0: 24 vertices, 12 faces", f"{HOSTILE}, sample 3: 24 vertices, 12 faces"]
    assert HOSTILE in seen["name"]
    assert (seen["title"], seen["scripts"]) == ("whole", 4)


def test_the_console_stays_silent(seen: dict) -> None:
    assert not seen["console"]
