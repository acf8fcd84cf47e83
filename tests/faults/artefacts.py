"""Small files of every kind that this program reads, and how each is read: what the tests of cut and damaged files go through."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from holofusion.cameras import CONVENTION, cameras_to_json, turntable
from holofusion.config.load import read_params
from holofusion.config.section import Section
from holofusion.data.co3d.archives import unpack
from holofusion.data.co3d.reader import read_category, read_set_list
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation.consistency import choose_scenes
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.geometry import read_scenes, true_meshes
from holofusion.methods.base import construct, sections_of
from holofusion.methods.files import load_method
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.pigan import PiGan
from holofusion.methods.trained import TrainedRun
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import load_step, write_resolved
from holofusion.reconstruction.objects import read_grids
from holofusion.rendering.grids import PlainDecoder
from holofusion.rendering.sparse_grid import SparseGrid
from holofusion.report.collect import read_log
from holofusion.scenes.files import load_scene
from holofusion.scenes.mesh import PaintedMeshFacts, PaintedMeshScene
from holofusion.scenes.voxel import VoxelFacts, VoxelScene
from holofusion.training.checkpoint import Average, load_state, read_snapshots, save_snapshot, save_state
from holofusion.utils.files import write_json
from tests.sections import PARAMS, smoke

SIDE, VIEWS = 8, 6
RUN = "pigan-hydrant-s0"
Read = Callable[[Path], object]


@dataclass(frozen=True)
class Artefact:
    """A kind of file. place: below the folder of all; read: reads it, given that folder."""

    place: str
    read: Read


def prepared(folder: Path) -> None:
    """Prepared data of two objects, of which one is held out."""
    folder.mkdir()
    cameras = turntable(VIEWS, 20.0, 4.0, 3.0)
    columns = {"R": cameras.R, "T": cameras.T, "focal": cameras.focal, "principal": cameras.principal}
    save_file({name: value.contiguous() for name, value in columns.items()}, folder / "cameras.safetensors")
    np.save(folder / "images.npy", np.full((VIEWS, SIDE, SIDE, 3), 200, np.uint8))
    np.save(folder / "masks.npy", np.full((VIEWS, SIDE, SIDE), 255, np.uint8))
    frames = {"a": [0, 1, 2], "b": [3, 4, 5]}
    facts = {"category": "hydrant", "image_size": SIDE, "config_hash": "0", "objects": ["a", "b"], "frames": frames}
    placed = {name: {"center": [0.0, 0.0, 0.0], "scale": 1.0} for name in frames}
    write_json(folder / "data.json", facts | {"object_of": {"a": "a", "b": "b"}, "normalisation": placed})
    write_json(folder / "split.json", {"train": ["a"], "held_out": ["b"]})
    listed = {"convention": CONVENTION, "cameras": cameras_to_json(cameras)}
    write_json(folder / "evaluation_cameras.json", listed)
    write_json(folder / "turntable.json", {"distance": 4.0, "elevation_deg": 20.0, "focal": 3.0})


def views(folder: Path) -> None:
    """A shard of views of one scene, and one of surfaces."""
    cameras = cameras_to_json(turntable(10, 20.0, 4.0, 3.0))
    listed = [{"file": f"view_{index}.png", **camera} for index, camera in enumerate(cameras)]
    scene = {"seed": 0, "views": listed, "turntable": [], "consistency": listed}
    write_json(folder / "0/cameras.json", {"run": RUN, "convention": CONVENTION, "image_size": SIDE, "scenes": [scene]})
    write_json(folder / "0/meshes.json", {"run": RUN, "scenes": [{"seed": 0, "faces": 12, "vertices": 8}]})


def scene(folder: Path) -> None:
    facts = VoxelFacts(
        extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=8, importance_samples=0, empty_density=None
    )
    VoxelScene(torch.zeros(1, 4, 6, 6, 6), PlainDecoder(20.0), facts).save(folder, seed=7)


def painted(folder: Path) -> None:
    """A tetrahedron in grey."""
    corners = torch.tensor([[0.5, 0.5, 0.5], [0.5, -0.5, -0.5], [-0.5, 0.5, -0.5], [-0.5, -0.5, 0.5]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    colours = SparseGrid.of_rows(torch.ones(4, 4, 4, dtype=torch.bool), torch.zeros(64, 3), torch.zeros(1, 3), 1.0)
    PaintedMeshScene(corners, faces, colours, PaintedMeshFacts(extent=1.0, oversampling=1)).save(folder, seed=7)


def run(folder: Path) -> None:
    """A pi-GAN that was never trained, with its facts."""
    folder.mkdir()
    plain = {name: section(name).model_dump(mode="json") for name in sections_of(PiGan)}
    facts = {"model": "holofusion.methods.pigan:PiGan", "settings": plain, "rows": {"pigan": {}}, "image_size": SIDE}
    write_json(folder / "model.json", facts)
    save_file(construct(PiGan, sections()).state_dict(), folder / "model.safetensors")


def section(name: str) -> Section:
    return getattr(smoke(), name)


def sections() -> dict[str, Section]:
    return {name: section(name) for name in sections_of(PiGan)}


def state(folder: Path) -> None:
    """The saved state of a training, and a snapshot."""
    module = torch.nn.Linear(20, 20)
    average, optimiser = Average(module, 0.9), optimiser_of(module)
    module(torch.ones(20)).sum().backward()
    optimiser.step()
    save_state(folder, "stamp", 2, 4, 1.0, module, optimiser, average)
    save_snapshot(folder / "snapshots", 0, 0.0, average)
    (folder / "log.jsonl").write_text('{"step": 1, "seconds": 0.5, "loss": 1.0}\n{"step": 2, "seconds": 1.0}\n')


def optimiser_of(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters())


def read_state(folder: Path) -> object:
    module = torch.nn.Linear(20, 20)
    return load_state(folder, "stamp", module, optimiser_of(module), Average(module, 0.9))


def co3d(root: Path) -> None:
    """Annotations of two frames, a set list, and an archive."""
    folder = root / "mug"
    (folder / "set_lists").mkdir(parents=True)
    view = {"R": np.eye(3).tolist(), "T": [0, 0, 3], "focal_length": [2, 2], "principal_point": [0, 0]}
    view["intrinsics_format"] = "ndc_isotropic"
    frames: list[dict[str, Any]] = [
        {
            "sequence_name": "a",
            "frame_number": number,
            "image": {"path": f"mug/a/images/{number}.jpg", "size": [9, 9]},
            "mask": {"path": f"mug/a/masks/{number}.png", "mass": 20.0},
            "viewpoint": view,
        }
        for number in range(40)
    ]
    for name, content in (("frame", frames), ("sequence", [{"sequence_name": "a", "viewpoint_quality_score": 1.0}])):
        (folder / f"{name}_annotations.jgz").write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))
    listed = [["a", number, f"mug/a/images/{number}.jpg"] for number in range(40)]
    (folder / "set_lists/set_lists_x.json").write_text(json.dumps({"train": listed, "val": [], "test": []}))
    noise = np.random.default_rng(0).bytes(900)
    with zipfile.ZipFile(root / "mug.zip", "w") as archive:
        for number in range(3):
            archive.writestr(zipfile.ZipInfo(f"mug/a/images/{number}.jpg"), noise)


def bank(folder: Path) -> None:
    HypothesisBank(turntable(2, 20.0, 4.0, 3.0), np.zeros((2, 2, SIDE, SIDE, 3), np.uint8)).save(folder)


def settings(folder: Path) -> None:
    (folder / "params.yaml").write_text(PARAMS.read_text())
    write_resolved(load_params(PARAMS, "smoke"), folder / "results")


ARTEFACTS = {
    "prepared data": Artefact("data/data.json", lambda folder: PreparedCategory.load(folder / "data")),
    "prepared split": Artefact("data/split.json", lambda folder: PreparedCategory.load(folder / "data")),
    "prepared cameras": Artefact("data/cameras.safetensors", lambda folder: PreparedCategory.load(folder / "data")),
    "prepared images": Artefact("data/images.npy", lambda folder: PreparedCategory.load(folder / "data")),
    "prepared masks": Artefact("data/masks.npy", lambda folder: PreparedCategory.load(folder / "data")),
    "frozen cameras": Artefact("data/evaluation_cameras.json", lambda folder: PreparedCategory.load(folder / "data")),
    "turntable": Artefact("data/turntable.json", lambda folder: PreparedCategory.load(folder / "data")),
    "normalisation": Artefact("data/data.json", lambda folder: true_meshes(folder / "data", folder, [])),
    "scene facts": Artefact("scene/scene.json", lambda folder: load_scene(folder / "scene")),
    "scene": Artefact("scene/scene.safetensors", lambda folder: load_scene(folder / "scene")),
    "painted scene": Artefact("painted/scene.safetensors", lambda folder: load_scene(folder / "painted")),
    "model facts": Artefact("run/model.json", lambda folder: load_method(folder / "run", torch.device("cpu"))),
    "trained run": Artefact("run/model.json", lambda folder: TrainedRun(folder / "run").stages),
    "weights": Artefact("run/model.safetensors", lambda folder: load_method(folder / "run", torch.device("cpu"))),
    "views": Artefact("views/0/cameras.json", lambda folder: ViewFolder.load(folder / "views", RUN, SIDE)),
    "views of a scene": Artefact("views/0/cameras.json", lambda folder: choose_scenes(folder / "views")),
    "surfaces": Artefact("views/0/meshes.json", lambda folder: read_scenes(folder / "views", RUN)),
    "training state": Artefact("state/state.safetensors", lambda folder: read_state(folder / "state")),
    "snapshot": Artefact(
        "state/snapshots/00000000.safetensors", lambda folder: read_snapshots(folder / "state/snapshots")
    ),
    "hypotheses": Artefact("bank/bank.npy", lambda folder: HypothesisBank.load(folder / "bank")),
    "hypotheses' cameras": Artefact("bank/cameras.json", lambda folder: HypothesisBank.load(folder / "bank")),
    "grid": Artefact("grids/a.safetensors", lambda folder: list(read_grids(folder / "grids", ["a"]))),
    "frame annotations": Artefact(
        "co3d/mug/frame_annotations.jgz", lambda folder: read_category(folder / "co3d", "mug")
    ),
    "sequences": Artefact("co3d/mug/sequence_annotations.jgz", lambda folder: read_category(folder / "co3d", "mug")),
    "set list": Artefact("co3d/mug/set_lists/set_lists_x.json", lambda f: read_set_list(f / "co3d", "mug", "x")),
    "archive": Artefact("co3d/mug.zip", lambda f: unpack(f / "co3d/mug.zip", f / "unpacked", "mug", Event())),
}
"""What must be whole: a cut is refused."""

LINES = {
    "settings": Artefact("params.yaml", lambda folder: read_params(folder / "params.yaml")),
    "settings of a step": Artefact(
        "results/config/prepare/hydrant.yaml", lambda folder: load_step(folder / "results/config/prepare/hydrant.yaml")
    ),
    "losses": Artefact("state/log.jsonl", lambda folder: read_log(folder / "state/log.jsonl")),
}
"""What may end at any line."""


@cache
def bytes_of(folder: Path) -> dict[str, bytes]:
    """The content of every file, as it was made in the folder."""
    return {name: (folder / artefact.place).read_bytes() for name, artefact in (ARTEFACTS | LINES).items()}


def make_all(folder: Path) -> Path:
    """Write a file of every kind into the folder."""
    prepared(folder / "data")
    views(folder / "views")
    scene(folder / "scene")
    painted(folder / "painted")
    run(folder / "run")
    state(folder / "state")
    bank(folder / "bank")
    co3d(folder / "co3d")
    settings(folder)
    (folder / "grids").mkdir()
    save_file({"grid": torch.zeros(4, 6, 6, 6, dtype=torch.float16)}, folder / "grids/a.safetensors")
    bytes_of(folder)
    return folder
