"""The viewer that draws packed meshes, in a real browser where there is one."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holofusion.report.viewer import TEMPLATES, pack, script
from tests.report.browser import browse
from tests.report.shapes import FRONT, MARKS, QUARTERS, RIGHT, TOP

HOSTILE = "</script><script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"


def numbers(entry: dict, key: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(entry[key]), kind).reshape(-1, 2 if key == "uvs" else 3)


def picture(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))


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
