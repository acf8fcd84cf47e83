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
from PIL import Image

import holofusion
from holofusion.utils.files import UserError
from tests.trained import RUN, SEED


@pytest.fixture(scope="module")
def copied(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder alone, elsewhere."""
    return shutil.copytree(trained / f"runs/{RUN}", tmp_path_factory.mktemp("elsewhere") / "run")


@pytest.mark.parametrize(
    ("stage", "row"), [("coarse", "holodiffusion"), ("superresolved", "holodiffusion_star"), ("fused", "holofusion")]
)
def test_a_copied_run_gives_the_pipelines_bytes(
    trained: Path, copied: Path, tmp_path: Path, stage: str, row: str
) -> None:
    run = holofusion.load(copied)
    run.sample(3)  # what was sampled before does not matter
    run.sample(SEED, stage).save(tmp_path)
    made = trained / f"samples/{row}-hydrant-s0/{SEED}/{SEED:06d}"
    assert (tmp_path / "scene.safetensors").read_bytes() == (made / "scene.safetensors").read_bytes()
    cameras = holofusion.turntable(2, 20.0, 4.0, 3.0)
    ours, theirs = (holofusion.load_scene(folder).render(cameras, 32) for folder in (tmp_path, made))
    assert torch.equal(ours.rgb, theirs.rgb)


def test_a_stage_that_there_is_not_is_named(copied: Path) -> None:
    with pytest.raises(UserError, match="stage 'fine': .*run has coarse, superresolved, fused"):
        holofusion.load(copied).sample(0, "fine")


def test_fusing_is_as_asked_for(trained: Path, copied: Path, tmp_path: Path) -> None:
    run = holofusion.load(copied)
    assert run.fusions == ("full", "fast")
    made = trained / f"samples/{RUN}/{SEED}/{SEED:06d}/scene.safetensors"
    for fusion in run.fusions:
        run.sample(SEED, "fused", fusion).save(tmp_path / fusion)
    files = [(tmp_path / fusion / "scene.safetensors").read_bytes() for fusion in ("fast", "full")]
    assert files[0] == made.read_bytes() != files[1]
    with pytest.raises(UserError, match="fusion 'slow': .*run has full, fast"):
        run.sample(SEED, "fused", "slow")


def test_what_is_no_run_is_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.json: no such file"):
        holofusion.load(tmp_path)
    with pytest.raises(UserError, match="hydrnt: no such folder, and no model that ships"):
        holofusion.load("hydrnt")
    with pytest.raises(UserError, match=r"model\.json: no generator"):
        holofusion.load(trained / "warmup/hydrant-s0")


def test_the_readmes_example_runs_as_it_stands(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    (example,) = [block for block in blocks if "holofusion.load(" in block]
    assert len(example.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
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
