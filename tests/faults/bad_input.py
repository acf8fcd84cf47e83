"""Bad input of every kind, by verb: how a sound folder is spoilt, and the command that must refuse it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from tests.faults import generators
from tests.faults.artefacts import RUN, make_all
from tests.sections import PARAMS

Spoil = Callable[[Path, Any], None]
NUMBERS = st.integers(-(10**6), -1) | st.floats(-1e9, -1e-3)
WORDS = st.text("abcdefgh", min_size=3, max_size=8).map(lambda word: f"x{word}")
NOT_JSON = st.binary(min_size=1, max_size=40).map(lambda content: b"{" + content)
NOT_A_PICTURE = st.binary(max_size=60).map(lambda content: b"\x89PNG\r\n\x1a\n" + content)
NOTHING = st.none()

IMPORT = "data import {folder}/source {folder}/out --category mug"
RESOLVE = "resolve --params {folder}/params.yaml --preset {preset} --results {folder}/out"
CHECK = "data check {folder}/co3d --category mug --subset x"
MESH = f"mesh --config {{folder}}/results/config/mesh/{RUN}.yaml --samples {{folder}}/samples --out {{folder}}/out"
SAMPLE = (
    f"sample --config {{folder}}/results/config/sample/{RUN}.yaml --model {{folder}}/run --shard 0 --out {{folder}}/out"
)
PICTURES = "import --config {folder}/results/config/import/external-hydrant-s0.yaml --data {folder}/data"
PICTURES += " --pictures {folder}/views/0 --out {folder}/out"
SEEN = f"consistency --config {{folder}}/results/config/consistency/{RUN}.yaml --data {{folder}}/data"
SEEN += " --views {folder}/views --out {folder}/out"
SHAPES = f"geometry --config {{folder}}/results/config/geometry/{RUN}.yaml --data {{folder}}/data"
SHAPES += " --meshes {folder}/views --out {folder}/out"
VERIFY = "verify {folder}/results"


@dataclass(frozen=True)
class Case:
    """name: what is wrong. command: with {folder}. spoil(folder, value): makes it wrong, with a value from `values`."""

    name: str
    command: str
    spoil: Spoil
    values: st.SearchStrategy[Any] = NOTHING

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


def make_world(folder: Path) -> Path:
    """A sound folder of everything: `make_all`'s, and photographs of two objects, and settings of two rows."""
    folder.mkdir(parents=True)
    make_all(folder)
    for name in ("a", "b"):
        generators.write_pictures(folder / "source" / name)
        frames = [generators.frame(index) for index in range(3)]
        (folder / "source" / name / "transforms.json").write_text(json.dumps({"frames": frames}))
    (folder / "samples").mkdir()
    shutil.copytree(folder / "scene", folder / "samples/0000")
    rows = {"methods": ["pigan", "external"], "external": {"folder": str(folder / "views")}, "categories": ["hydrant"]}
    shutil.rmtree(folder / "results")
    write_resolved(load_params(PARAMS, "smoke", [("rows", rows)]), folder / "results")
    for index in range(10):
        Image.new("RGB", (8, 8), "white").save(folder / f"views/0/view_{index}.png")
    return folder


def cases() -> Iterator[Case]:
    yield from _settings()
    yield from _photographs()
    yield from _colmap()
    yield from _annotations()
    yield from _scenes_and_weights()
    yield from _cameras_and_metrics()


def edited(file: str, change: Callable[[Any, Any], Any]) -> Spoil:
    """Spoils a JSON file: `change(content, value)` changes it in place, or returns another content."""

    def spoil(folder: Path, value: Any) -> None:
        path = folder / file
        content = json.loads(path.read_text())
        found = change(content, value)
        path.write_text(json.dumps(content if found is None else found))

    return spoil


def written(file: str) -> Spoil:
    """Spoils a file: the value, bytes, is all that it holds."""
    return lambda folder, value: (folder / file).write_bytes(value) and None


def gone(*files: str) -> Spoil:
    def spoil(folder: Path, value: Any) -> None:
        for file in files:
            path = folder / file
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def cut(file: str) -> tuple[Spoil, st.SearchStrategy[float]]:
    """Spoils a file: cut to a share of its length."""

    def spoil(folder: Path, share: float) -> None:
        path = folder / file
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return spoil, st.floats(0.0, 0.95)


def put(*keys: str | int) -> Callable[[Any, Any], None]:
    """Sets the value at nested keys; `...` removes it."""

    def change(content: Any, value: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        if value is ...:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value

    return change


def _settings() -> Iterator[Case]:
    def yaml(text: str) -> Spoil:
        return lambda folder, value: _overlay(folder, text.format(value))

    for name, text, values in (
        ("number below its range", "volume: {{resolution: {}}}", NUMBERS),
        ("word for a number", "training: {{steps: {}}}", WORDS),
        ("unknown key", "training: {{{}: 3}}", WORDS),
        ("unknown section", "{}: {{steps: 3}}", WORDS),
        ("unknown method", "methods: [{}]", WORDS),
        ("unknown source", "dataset: {{source: {}}}", WORDS),
        ("number for a list", "methods: {}", st.integers(0, 9)),
        ("number for a section", "training: {}", st.integers(0, 9)),
        ("no seeds", "seeds: []", NOTHING),
        ("seed twice", "seeds: [{0}, {0}]", st.integers(0, 9)),
        ("odd side of a picture", "dataset: {{image_size: {}}}", st.integers(10, 200).map(lambda n: 2 * n + 1)),
        ("key twice", "volume: {{features: 8, features: {}}}", st.integers(1, 9)),
        ("not a number", "volume: {{extent: .nan}}", NOTHING),
        ("infinite", "volume: {{extent: .inf}}", NOTHING),
        ("impossible date", "preset: 2020-99-{}", st.integers(40, 99)),
        ("brackets never closed", "volume: {{resolution: {}", st.integers(0, 9)),
        ("no mapping", "- {}", WORDS),
        ("tab for spaces", "volume:\n\tresolution: {}", st.integers(0, 9)),
        ("foreign objects", "volume: !!python/object:{} {{}}", WORDS),
        ("category with a slash", "categories: ['{}/..']", WORDS),
        ("photographs without a root", "dataset: {{source: co3d, root: /absent/{}}}", WORDS),
    ):
        yield Case(f"settings: {name}", RESOLVE.replace("{preset}", "mine"), yaml(text), values)
    yield Case("settings: unknown preset", RESOLVE.replace("{preset}", "nosuch"), lambda folder, value: None)
    yield Case("settings: no file", RESOLVE.replace("{preset}", "mini"), gone("params.yaml"))
    binary = st.binary(min_size=1, max_size=9).map(lambda content: b"\xff\xfe\x00" + content)
    yield Case("settings: no text", RESOLVE.replace("{preset}", "mini"), written("params.yaml"), binary)
    other = MESH.replace("/mesh/", "/sample/")
    yield Case("settings: of another step", other, lambda folder, value: None)
    config = f"results/config/mesh/{RUN}.yaml"

    def by_hand(folder: Path, value: int) -> None:
        (folder / config).write_text((folder / config).read_text().replace("resolution: 16", f"resolution: {value}"))

    yield Case("settings: of a step, edited by hand", MESH, by_hand, st.integers(17, 99))
    yield Case("settings: of a step, no mapping", MESH, written(config), st.binary(min_size=3, max_size=9))


def _overlay(folder: Path, text: str) -> None:
    (folder / "config").mkdir()
    (folder / "config/mine.yaml").write_text(text)


def _photographs() -> Iterator[Case]:
    transforms, first = "source/a/transforms.json", "source/a/images/1.png"

    def lens(key: str) -> Spoil:
        return edited(transforms, put("frames", 0, key))

    def picture(make: Callable[[Any], Image.Image]) -> Spoil:
        def spoil(folder: Path, value: Any) -> None:
            for path in (folder / "source").glob("*/images/*.png"):
                make(value).save(path)

        return spoil

    side = generators.SIDE
    yield Case("images: not a picture", IMPORT, written(first), NOT_A_PICTURE)
    yield Case("images: cut", IMPORT, *cut(first))
    yield Case("images: missing", IMPORT, gone(first))
    flat = picture(lambda value: Image.new("RGBA", (side, side), (9, 9, 9, value)))
    yield Case("masks: alpha the same everywhere", IMPORT, flat, st.integers(0, 255))
    yield Case("masks: none", IMPORT, picture(lambda value: Image.new("RGB", (side, side), "red")))
    yield Case("masks: empty", IMPORT, _masks(lambda value: np.zeros((side, side))))
    yield Case("masks: cover everything", IMPORT, _masks(lambda v: np.full((side, side), v)), st.integers(1, 255))
    noise = _masks(lambda seed: np.random.default_rng(seed).integers(60, 200, (side, side)))
    yield Case("masks: a photograph", IMPORT, noise, st.integers(0, 99))
    yield Case("masks: of another size", IMPORT, _masks(lambda n: np.eye(n) * 255), st.integers(3, 9))
    yield Case("masks: cut", IMPORT, _cut_mask, st.floats(0.0, 0.9))
    yield Case("transforms: not JSON", IMPORT, written(transforms), NOT_JSON)
    yield Case(
        "transforms: no object", IMPORT, written(transforms), generators.JSON.map(lambda v: json.dumps([v]).encode())
    )
    yield Case(
        "transforms: no frames", IMPORT, edited(transforms, lambda content, value: {"frames": value}), st.just([])
    )
    yield Case("transforms: frames are a word", IMPORT, edited(transforms, put("frames")), WORDS)
    yield Case("transforms: no focal length", IMPORT, lens("fl_x"), st.just(...))
    yield Case("transforms: focal length below 0", IMPORT, lens("fl_x"), NUMBERS)
    yield Case("transforms: distortion", IMPORT, lens("k1"), st.floats(1e-6, 2.0))
    yield Case("transforms: distortion of another name", IMPORT, lens("distortion_params"), st.just([0.1, 0, 0, 0]))
    yield Case(
        "transforms: fisheye", IMPORT, lens("camera_model"), st.sampled_from(["OPENCV_FISHEYE", "EQUIRECTANGULAR"])
    )
    yield Case("transforms: no pose", IMPORT, lens("transform_matrix"), st.just(...))
    yield Case("transforms: pose of other shape", IMPORT, lens("transform_matrix"), st.lists(NUMBERS, max_size=5))
    stretched = st.floats(1.2, 9).map(lambda scale: (np.diag([scale, 1, 1, 1]) + 0.0).tolist())
    yield Case("transforms: pose stretched", IMPORT, lens("transform_matrix"), stretched)
    yield Case(
        "transforms: pose not a number", IMPORT, lens("transform_matrix"), st.just(np.full((4, 4), np.nan).tolist())
    )
    yield Case("transforms: file is a number", IMPORT, lens("file_path"), st.integers())
    yield Case("import: no such folder", IMPORT, gone("source"))
    yield Case("import: empty folder", IMPORT, gone("source/a", "source/b"))
    yield Case("import: one object only", IMPORT, gone("source/b"))


def _masks(make: Callable[[Any], np.ndarray]) -> Spoil:
    """Spoils every mask, as files beside the photographs."""

    def spoil(folder: Path, value: Any) -> None:
        for path in (folder / "source").glob("*/images/*.png"):
            mask = path.parent.parent / "masks" / path.name
            mask.parent.mkdir(exist_ok=True)
            Image.fromarray(make(value).astype(np.uint8)).save(mask)

    return spoil


def _cut_mask(folder: Path, share: float) -> None:
    _masks(lambda value: np.eye(generators.SIDE) * 255)(folder, None)
    spoil, _ = cut("source/a/masks/0.png")
    spoil(folder, share)


def _colmap() -> Iterator[Case]:
    def model(folder: Path) -> Path:
        for name in ("a", "b"):
            here = folder / "source" / name
            (here / "transforms.json").unlink()
            cameras, images = generators.binary_model([f"{index}.png" for index in range(3)])
            (here / "cameras.bin").write_bytes(cameras)
            (here / "images.bin").write_bytes(images)
        return folder / "source/a"

    def binary(name: str) -> Spoil:
        def spoil(folder: Path, share: float) -> None:
            path = model(folder) / name
            content = path.read_bytes()
            path.write_bytes(content[: int(len(content) * share)])

        return spoil

    def text(cameras: str, images: str) -> Spoil:
        def spoil(folder: Path, value: Any) -> None:
            here = model(folder)
            for name in ("cameras", "images"):
                (here / f"{name}.bin").unlink()
            (here / "cameras.txt").write_text(cameras.format(value))
            (here / "images.txt").write_text(images.format(value))

        return spoil

    sound, image = "1 PINHOLE 12 12 14 14 6 6\n", "1 1 0 0 0 0 0 3 1 0.png\n\n"
    yield Case("COLMAP: cameras.bin cut", IMPORT, binary("cameras.bin"), st.floats(0, 0.9))
    yield Case("COLMAP: images.bin cut", IMPORT, binary("images.bin"), st.floats(0, 0.9))
    yield Case("COLMAP: distorted", IMPORT, text("1 OPENCV 12 12 14 14 6 6 {} 0 0 0\n", image), st.floats(0.001, 1))
    yield Case("COLMAP: fisheye", IMPORT, text("1 OPENCV_FISHEYE 12 12 14 14 6 6 0 0 0 0\n", image))
    yield Case("COLMAP: unknown lens", IMPORT, text("1 {} 12 12 14 14 6 6\n", image), WORDS)
    yield Case(
        "COLMAP: camera that is not there", IMPORT, text(sound, "1 1 0 0 0 0 0 3 {} 0.png\n\n"), st.integers(2, 99)
    )
    yield Case("COLMAP: too few numbers", IMPORT, text("1 PINHOLE 12 12 14\n", image))
    yield Case("COLMAP: word for a number", IMPORT, text(sound, "1 1 0 0 0 {} 0 3 1 0.png\n\n"), WORDS)
    yield Case("COLMAP: no rotation", IMPORT, text(sound, "1 0 0 0 0 0 0 3 1 0.png\n\n"))
    yield Case("COLMAP: no images", IMPORT, text(sound, "# none\n"))


def _annotations() -> Iterator[Case]:
    frames, sequences = "co3d/mug/frame_annotations.jgz", "co3d/mug/sequence_annotations.jgz"

    def packed(file: str, change: Callable[[Any, Any], Any]) -> Spoil:
        def spoil(folder: Path, value: Any) -> None:
            content = json.loads(gzip.decompress((folder / file).read_bytes()))
            found = change(content, value)
            (folder / file).write_bytes(gzip.compress(json.dumps(content if found is None else found).encode()))

        return spoil

    yield Case("annotations: cut", CHECK, *cut(frames))
    yield Case("annotations: not gzip", CHECK, written(frames), st.binary(min_size=2, max_size=30))
    yield Case("annotations: no list", CHECK, packed(frames, lambda content, value: value), st.integers() | st.text())
    yield Case("annotations: no path of the image", CHECK, packed(frames, put(0, "image")), st.just(...))
    yield Case("annotations: no name of the sequence", CHECK, packed(sequences, put(0, "sequence_name")), st.just(...))
    yield Case("annotations: missing", CHECK, gone(sequences))
    yield Case("annotations: set list missing", CHECK, gone("co3d/mug/set_lists/set_lists_x.json"))
    yield Case("annotations: set list not JSON", CHECK, written("co3d/mug/set_lists/set_lists_x.json"), NOT_JSON)
    yield Case("annotations: no pictures", CHECK, lambda folder, value: None)
    yield Case("annotations: no category", CHECK, gone("co3d/mug"))


def _scenes_and_weights() -> Iterator[Case]:
    facts, tensors = "samples/0000/scene.json", "samples/0000/scene.safetensors"
    yield Case("scenes: none", MESH, gone("samples/0000"))
    yield Case("scenes: not JSON", MESH, written(facts), NOT_JSON)
    yield Case("scenes: unknown kind", MESH, edited(facts, put("kind")), generators.JSON.filter(lambda v: v != "voxel"))
    yield Case("scenes: facts of another kind", MESH, edited(facts, put("facts", "extent")), WORDS)
    yield Case("scenes: facts missing", MESH, edited(facts, put("facts")), st.just(...))
    yield Case("scenes: no seed", MESH, edited(facts, put("seed")), st.just(...))
    yield Case("scenes: tensors cut", MESH, *cut(tensors))
    yield Case("scenes: tensors missing", MESH, gone(tensors))
    yield Case("scenes: tensors of another", MESH, lambda folder, value: _copy(folder, "grids/a.safetensors", tensors))
    model, weights = "run/model.json", "run/model.safetensors"
    yield Case("weights: no folder", SAMPLE, gone("run"))
    yield Case("weights: missing", SAMPLE, gone(weights))
    yield Case("weights: cut", SAMPLE, *cut(weights))
    yield Case(
        "weights: of another method", SAMPLE, lambda folder, value: _copy(folder, "grids/a.safetensors", weights)
    )
    yield Case("weights: facts not JSON", SAMPLE, written(model), NOT_JSON)
    yield Case("weights: facts without settings", SAMPLE, edited(model, put("settings")), st.just(...))
    yield Case("weights: unknown class", SAMPLE, edited(model, put("model")), WORDS)
    yield Case("weights: a class that is no method", SAMPLE, edited(model, put("model")), st.just("pathlib:Path"))
    yield Case("weights: unknown section", SAMPLE, edited(model, lambda c, v: c["settings"].update({v: {}})), WORDS)
    yield Case("weights: shard that is not there", SAMPLE.replace("--shard 0", "--shard 7"), lambda folder, value: None)


def _copy(folder: Path, source: str, target: str) -> None:
    shutil.copy(folder / source, folder / target)


def _cameras_and_metrics() -> Iterator[Case]:
    listing, scenes = "views/0/cameras.json", ("scenes", 0)
    for command, verb in ((PICTURES, "pictures"), (SEEN, "views")):
        yield Case(f"cameras of {verb}: not JSON", command, written(listing), NOT_JSON)
        yield Case(f"cameras of {verb}: no object", command, edited(listing, lambda c, v: [v]), generators.JSON)
        yield Case(f"cameras of {verb}: other size", command, edited(listing, put("image_size")), st.integers(9, 99))
        yield Case(f"cameras of {verb}: no views", command, edited(listing, put(*scenes, "views")), st.just([]))
        yield Case(
            f"cameras of {verb}: not finite",
            command,
            edited(listing, put(*scenes, "views", 0, "T", 0)),
            st.just(np.nan),
        )
        yield Case(f"cameras of {verb}: no R", command, edited(listing, put(*scenes, "views", 0, "R")), st.just(...))
    yield Case("cameras: other convention", PICTURES, edited(listing, put("convention")), WORDS)
    yield Case("cameras: seed twice", PICTURES, edited(listing, lambda c, v: c["scenes"].append(c["scenes"][0])))
    yield Case(
        "cameras: picture outside",
        PICTURES,
        edited(listing, put(*scenes, "views", 0, "file")),
        st.just("../../../x.png"),
    )
    yield Case("cameras: picture missing", PICTURES, gone("views/0/view_3.png"))
    yield Case("cameras: picture not one", PICTURES, written("views/0/view_3.png"), NOT_A_PICTURE)
    yield Case("cameras: frozen ones not JSON", PICTURES, written("data/evaluation_cameras.json"), NOT_JSON)
    yield Case("data: of another category", SEEN, edited("data/data.json", put("category")), WORDS)
    yield Case("data: no category", SEEN, edited("data/data.json", put("category")), st.just(...))
    yield Case("data: pictures cut", SEEN, *cut("data/images.npy"))
    yield Case("data: no folder", SEEN, gone("data"))
    yield Case("surfaces: not JSON", SHAPES, written("views/0/meshes.json"), NOT_JSON)
    yield Case("surfaces: of another run", SHAPES, edited("views/0/meshes.json", put("run")), WORDS)
    yield Case("surfaces: missing", SHAPES, lambda folder, value: None)
    yield Case("surfaces: no faces", SHAPES, edited("views/0/meshes.json", put("scenes", 0, "faces")), st.just(...))

    def metrics(folder: Path, value: bytes) -> None:
        path = folder / f"results/metrics/{RUN}.json"
        path.parent.mkdir()
        path.write_bytes(value)

    yield Case("metrics: not JSON", VERIFY, metrics, NOT_JSON)
    yield Case("metrics: no object", VERIFY, metrics, generators.JSON.map(lambda value: json.dumps([value]).encode()))
    yield Case("metrics: nothing recorded", VERIFY, metrics, st.just(b"{}"))
    yield Case("metrics: no settings", VERIFY, gone("results/config"))
