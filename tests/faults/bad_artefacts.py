"""Bad artefacts of the pipeline: scenes, weights, views and their cameras, prepared data, surfaces, metrics."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.faults import generators
from tests.faults.artefacts import RUN, painted
from tests.faults.spoilt import NOT_A_PICTURE, NOT_JSON, NOTHING, WORDS, Case, Spoil, cut, edited, gone, put, written

MESH = f"mesh --config {{folder}}/results/config/mesh/{RUN}.yaml --data {{folder}}/data"
MESH += " --samples {folder}/samples --out {folder}/out"
SAMPLE = (
    f"sample --config {{folder}}/results/config/sample/{RUN}.yaml --model {{folder}}/run --shard 0 --out {{folder}}/out"
)
PICTURES = "import --config {folder}/results/config/import/external-hydrant-s0.yaml --data {folder}/data"
PICTURES += " --pictures {folder}/views/0 --out {folder}/out"
SEEN = f"consistency --config {{folder}}/results/config/consistency/{RUN}.yaml --data {{folder}}/data"
SEEN += " --views {folder}/views --out {folder}/out"
SHAPES = f"geometry --config {{folder}}/results/config/geometry/{RUN}.yaml --data {{folder}}/data"
SHAPES += " --meshes {folder}/views --views {folder}/views --out {folder}/out"
VERIFY = "verify {folder}/results"


def artefacts() -> Iterator[Case]:
    yield from _scenes_and_weights()
    yield from _painted_scenes()
    yield from _cameras_and_metrics()


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


def _painted_scenes() -> Iterator[Case]:
    """Meshes with colours: four vertices, four faces, colours at all of 4^3 voxels."""
    outside = st.integers(-(10**6), -1)
    for name, tensor, change, values in (
        ("faces beyond the vertices", "faces", _with_value, st.integers(4, 10**6) | outside),
        ("faces that are no numbers of vertices", "faces", lambda faces, value: faces.float(), NOTHING),
        ("faces of another number of corners", "faces", lambda faces, value: faces[:, :2], NOTHING),
        ("flat vertices", "vertices", lambda vertices, value: vertices[:, :2], NOTHING),
        ("vertices not finite", "vertices", _with_value, st.sampled_from([np.nan, np.inf, -np.inf])),
        ("colours not finite", "colours", _with_value, st.sampled_from([np.nan, np.inf])),
        ("fewer colours than voxels", "colours", lambda colours, value: colours[:value], st.integers(0, 64)),
        ("voxels beyond the grid", "voxels", _with_value, st.integers(64, 10**6) | outside),
        ("voxels twice", "voxels", lambda voxels, value: voxels.clamp_min(value), st.integers(1, 63)),
        ("too small a grid", "resolution", lambda side, value: side.new_tensor(value), st.integers(-9, 3)),
        ("too large a grid", "resolution", lambda side, value: side.new_tensor(value), st.integers(2049, 10**9)),
        ("several sides of a grid", "resolution", lambda side, value: side.expand(value).clone(), st.integers(2, 9)),
    ):
        yield Case(f"painted scenes: {name}", MESH, _painted(tensor, change), values)


def _with_value(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor.view(-1)[-1] = value
    return tensor


def _painted(name: str, change: Callable[[torch.Tensor, Any], torch.Tensor]) -> Spoil:
    def spoil(folder: Path, value: Any) -> None:
        painted(folder / "samples/0000")
        path = folder / "samples/0000/scene.safetensors"
        tensors = load_file(path)
        save_file(tensors | {name: change(tensors[name], value).contiguous()}, path)

    return spoil


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
