"""The Python interface: README's example as it stands, and a run folder, copied elsewhere, that gives the pipeline's bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import holofusion
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from holofusion.utils.files import UserError
from tests.jobs import do

SEED = 7
RUN = "holofusion-hydrant-s0"


@pytest.fixture(scope="module")
def results(repository: Path, prepared_smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline's results with scene 7 of every stage: trainings of two steps; its shard alone is made, of eight."""
    project = tmp_path_factory.mktemp("api")
    (project / "config").mkdir()
    shutil.copy(repository / "params.yaml", project)
    overlay = yaml.safe_load((repository / "config/smoke.yaml").read_text())
    for section in ("warmup", "training"):
        overlay[section] |= {"steps": 2}
    overlay["sampling"] |= {"scenes": 8, "shards": 8}
    overlay.setdefault("distillation", {})["mode"] = "fast"  # has settings of its own for the hypotheses
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    out = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), out)
    data = out / "data/hydrant"
    shutil.copytree(prepared_smoke, data)
    warmup = do(out, "warmup", "hydrant-s0", out / "warmup/hydrant-s0", data=data)
    model = do(out, "train", RUN, out / f"runs/{RUN}", data=data, warmup=warmup)

    def sample(row: str, **inputs: Path) -> Path:
        name = f"{row}-hydrant-s0"
        return do(out, "sample", name, out / f"samples/{name}/{SEED}", SEED, model=model, **inputs)

    coarse = sample("holodiffusion")
    sample("holodiffusion_star", coarse=coarse)
    bank = out / f"hypotheses/{RUN}/{SEED}"
    do(out, "hypotheses", RUN, bank, SEED, data=data, model=model, coarse=coarse)
    sample("holofusion", coarse=coarse, hypotheses=bank)
    return out


@pytest.fixture(scope="module")
def copied(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder alone, elsewhere."""
    return shutil.copytree(results / f"runs/{RUN}", tmp_path_factory.mktemp("elsewhere") / "run")


@pytest.mark.parametrize(
    ("stage", "row"), [("coarse", "holodiffusion"), ("superresolved", "holodiffusion_star"), ("fused", "holofusion")]
)
def test_a_copied_run_gives_the_pipelines_bytes(
    results: Path, copied: Path, tmp_path: Path, stage: str, row: str
) -> None:
    run = holofusion.load(copied)
    run.sample(3)  # what was sampled before does not matter
    run.sample(SEED, stage).save(tmp_path)
    made = results / f"samples/{row}-hydrant-s0/{SEED}/{SEED:06d}"
    assert (tmp_path / "scene.safetensors").read_bytes() == (made / "scene.safetensors").read_bytes()
    cameras = holofusion.turntable(2, 20.0, 4.0, 3.0)
    ours, theirs = (holofusion.load_scene(folder).render(cameras, 32) for folder in (tmp_path, made))
    assert torch.equal(ours.rgb, theirs.rgb)


def test_a_stage_that_there_is_not_is_named(copied: Path) -> None:
    with pytest.raises(UserError, match="stage 'fine': .*run has coarse, superresolved, fused"):
        holofusion.load(copied).sample(0, "fine")


def test_what_is_no_run_is_named(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.json: no such file"):
        holofusion.load(tmp_path)
    with pytest.raises(UserError, match=r"model\.json: no generator"):
        holofusion.load(results / "warmup/hydrant-s0")


def test_the_readmes_example_runs_as_it_stands(
    repository: Path, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    (example,) = [block for block in blocks if "holofusion.load(" in block]
    assert len(example.splitlines()) <= 12
    shutil.copytree(results / "runs", tmp_path / "results/runs")
    monkeypatch.chdir(tmp_path)
    # two steps of training leave fog, whose surface may be empty
    monkeypatch.setattr("holofusion.meshing.mesh.Mesh.export", lambda mesh, path: Path(path).write_bytes(b"made"))
    exec(example, {})
    assert "[8, 3, 128, 128]" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"hydrant", "hydrant.glb"}


def test_pictures_of_the_training_objects_score_near_the_best(prepared_smoke: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    from holofusion.data.prepared import PreparedCategory

    data = PreparedCategory.load(prepared_smoke)
    rows = [row for name in data.train for row in data.frames[name]]
    noise = np.random.default_rng(0).integers(0, 256, data.images.shape, np.uint8)
    for kind, images in (("real", data.images), ("noise", noise)):
        for index, row in enumerate(rows):
            folder = tmp_path / kind / f"{index % 4}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(images[row])).save(folder / f"{index}.png")

    def distance(kind: str) -> float:
        entries = holofusion.score(tmp_path / kind, prepared_smoke)
        return next(
            entry["value"] for entry in entries if entry["metric"].startswith("kd_") and entry["reference"] == "train"
        )

    assert abs(distance("real")) < 0.05 * distance("noise")
    with pytest.raises(UserError, match="0 PNG files"):
        holofusion.score(tmp_path / "none", prepared_smoke)
    Image.new("RGB", (5, 5)).save(tmp_path / "real/odd.png")
    with pytest.raises(UserError, match=r"odd\.png: 5 x 5 px, the data is"):
        holofusion.score(tmp_path / "real", prepared_smoke)


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, holofusion; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
