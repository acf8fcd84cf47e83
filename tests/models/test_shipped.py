"""Models that ship: half precision where it costs nothing, found by name, and refused when they are not what was shipped."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import holofusion
from holofusion.data.co3d.writer import held_out_count
from holofusion.methods.base import construct
from holofusion.methods.code_fusion import CodeFusion
from holofusion.models import shipped
from holofusion.models.shipped import halved, locate, names, ship
from holofusion.objects.demo import make_demo
from holofusion.objects.generate import Request, generate
from holofusion.pipeline.checks import load_params
from holofusion.utils.files import UserError
from tests.trained import RUN, SEED
from tools import work


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the package's."""
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "models")
    return tmp_path / "models"


def test_tensors_are_halved_where_that_loses_nothing() -> None:
    draw = torch.Generator().manual_seed(0)
    tensors = {
        "weights": torch.randn(64, 3, generator=draw),
        "codes": torch.randn(10, 8, 4, 4, 4, generator=draw) * 1e-2,
        "tiny": torch.full((5,), 1e-9),
        "huge": torch.tensor([1.0, 1e6]),
        "counts": torch.arange(4),
        "zeros": torch.zeros(3),
        "none": torch.zeros(0),
    }
    small = halved(tensors)
    assert {name for name, value in small.items() if value.dtype == torch.half} == {"weights", "codes", "zeros", "none"}
    for name, value in small.items():
        assert value.shape == tensors[name].shape
        assert (value.double() - tensors[name].double()).norm() <= 1e-3 * tensors[name].double().norm()


def test_a_shipped_model_samples_as_its_training_does(trained: Path, models: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(trained / f"runs/{RUN}", tmp_path / RUN)
    (copied / "provenance.json").write_text('{"step": "train"}')
    folder = ship(copied, "hydrant")
    assert folder == models / "hydrant" == locate("hydrant") and names() == ["hydrant"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8e6
    assert 'holofusion.load("hydrant")' in (folder / "MODEL_CARD.md").read_text()
    origin = json.loads((folder / "provenance.json").read_text())
    assert origin["training"] == {"step": "train"} and origin["run"] == RUN
    dtypes = {name: value.dtype for name, value in load_file(folder / "model.safetensors").items()}
    assert {name for name, kind in dtypes.items() if kind != torch.half} == set(origin["not_halved"])
    grids = [run.sample(SEED).tensors()["grid"] for run in map(holofusion.load, ("hydrant", trained))]
    assert grids[0].dtype == torch.float32
    error = (grids[0] - grids[1]).norm() / grids[1].norm()
    assert 0 < error < 0.05 and math.isfinite(error)


def test_the_readme_says_what_ships_and_why_its_picture_does_not(repository: Path) -> None:
    rows = {json.loads((shipped.MODELS / name / shipped.ORIGIN).read_text())["run"] for name in shipped.names()}
    text = " ".join((repository / "README.md").read_text().split())
    said = re.search(
        r"row `(\w+)`\).* Its weights, (\d+) MB, are too large to ship; the models that ship, (.+), are the (.+), for",
        text,
    )
    assert said is not None and said[3] == " and ".join(f"`{name}`" for name in shipped.names())
    assert {row.partition("-")[0] for row in rows} == {said[4].replace(" ", "_")}
    params = work.settings_of("fine", said[1])
    method = construct(CodeFusion, dict(params))
    objects = load_params(repository / "params.yaml", "fine").synthetic.objects
    codes = torch.zeros(objects - held_out_count(objects), *method.space.shape, dtype=torch.half)
    method.estimates.codes = codes
    sizes = {name: value.numel() * value.element_size() for name, value in method.state_dict().items()}
    assert round(sum(sizes.values()) / 1e6) == int(said[2])
    networks = sum(size for name, size in sizes.items() if not name.startswith("estimates."))
    assert networks / 2 > shipped.LARGEST  # in half precision, and without what is packed


def test_of_a_results_folder_the_run_is_meant_that_is_fused(tmp_path: Path) -> None:
    runs = {
        "code_fusion": ["code_fusion", "code_fusion_coarse"],
        "holofusion": ["holofusion"],
        "gaussian": ["gaussian"],
    }
    for run, rows in ((f"{name}-a-s0", rows) for name, rows in runs.items()):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "model.json").write_text(json.dumps({"rows": dict.fromkeys(rows)}))
    assert locate(tmp_path).name == "code_fusion-a-s0"
    shutil.rmtree(tmp_path / "runs/code_fusion-a-s0")
    assert locate(tmp_path).name == "holofusion-a-s0"
    shutil.rmtree(tmp_path / "runs/holofusion-a-s0")
    assert locate(tmp_path).name == "gaussian-a-s0"


def test_a_file_that_was_changed_is_refused(trained: Path, models: Path) -> None:
    path = ship(trained / f"runs/{RUN}", "hydrant") / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"hydrant/model\.safetensors: not the file that was shipped"):
        holofusion.load("hydrant")
    path.unlink()
    with pytest.raises(UserError, match=r"hydrant/model\.safetensors: no such file"):
        holofusion.load("hydrant")


def test_what_cannot_ship_is_named_and_leaves_nothing(
    trained: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"model\.safetensors: no such file"):
        ship(tmp_path, "hydrant")
    with pytest.raises(UserError, match="a/b: not a name of a model"):
        ship(trained / f"runs/{RUN}", "a/b")
    monkeypatch.setattr(shipped, "LARGEST", 10**5)
    with pytest.raises(UserError, match="a model that ships takes at most 100.0 kB"):
        ship(trained / f"runs/{RUN}", "hydrant")
    assert names() == [] and not any(models.iterdir())
    with pytest.raises(UserError, match="no model ships with this version"):
        make_demo(tmp_path / "demo", 1)


def test_models_in_the_package_are_what_was_shipped() -> None:
    for name in names():
        shipped.check(shipped.MODELS / name)
        assert sum(path.stat().st_size for path in (shipped.MODELS / name).iterdir()) <= shipped.LARGEST


@pytest.mark.parametrize("name", names())
def test_every_model_in_the_package_makes_an_object(name: str, tmp_path: Path) -> None:
    request = Request(stage="coarse", fusion=None, views=2, size=32, formats=["glb"])
    (folder,) = generate(holofusion.load(name), name, [0], tmp_path, request)
    assert {"view.png", "turntable.mp4", "object.glb", "scene"} <= {path.name for path in folder.iterdir()}
    assert 0.02 < (np.asarray(Image.open(folder / "view.png").convert("L")) < 250).mean() < 0.9


def test_the_demonstration_needs_a_model_and_nothing_else(
    trained: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holofusion.objects.demo.OBJECTS", 2)
    monkeypatch.setattr("holofusion.objects.demo.VIEWS", 2)
    shown: list[Path] = []
    monkeypatch.setattr("holofusion.objects.demo.show", shown.append)
    ship(trained / f"runs/{RUN}", "hydrant")
    page = make_demo(tmp_path / "demo", 1)
    assert shown == [page] and {path.name for path in page.parent.iterdir()} == {"hydrant", "hydrant.png", "index.html"}
    assert page.read_text().count("<figure>") == 2
