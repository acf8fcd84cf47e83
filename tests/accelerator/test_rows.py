"""Every step of every row on the simulated accelerator: no mixed devices, and the CPU's results.

A step gets what the CPU made before it, so that roundings do not add up. Left out: rows with Stable Diffusion, which need weights
that are not here; the curve of training, made of rendering and scores; and rows that share all steps with those below.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
import yaml
from PIL import Image
from safetensors.torch import load_file

from benchmarks.accelerator import DEVICE, accelerator, rasteriser_on_host
from holofusion.data.prepared import PreparedCategory
from holofusion.methods import distillation, holofusion
from holofusion.methods.files import load_method
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import ROWS
from holofusion.pipeline.resolve import load_step, write_resolved
from holofusion.pipeline.steps import STEPS
from holofusion.rendering import volume
from holofusion.scenes.files import load_scene
from tests.jobs import job_of

REPOSITORY = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
# step, row: folder or file of the result, and inputs by name; in order of need
STEPS_OF_ROWS = {
    ("warmup", "warmup"): {},
    ("reconstruct", "reconstruct"): {},
    ("encode", "encode"): {"reconstructions": "reconstruct reconstruct"},
    ("train", "holofusion"): {"warmup": "warmup warmup"},
    ("train", "code_fusion"): {"codes": "encode encode"},
    ("train", "code_fusion_feedforward"): {"base": "train code_fusion"},
    ("train", "local_estimate"): {"codes": "encode encode"},
    ("train", "gaussian"): {"codes": "encode encode"},
    **{("train", row): {} for row in ("pigan", "graf", "eg3d", "get3d", "sds", "magic3d_sds")},
    ("sample", "holodiffusion"): {"model": "train holofusion"},
    ("sample", "code_fusion_coarse"): {"model": "train code_fusion"},
    **{
        ("sample", row): {"model": f"train {row}"}
        for row in ("local_estimate", "gaussian", "pigan", "graf", "eg3d", "get3d", "sds", "magic3d_sds")
    },
    ("sample", "holodiffusion_star"): {"model": "train holofusion", "coarse": "sample holodiffusion"},
    ("hypotheses", "holofusion"): {"model": "train holofusion", "coarse": "sample holodiffusion"},
    **{
        ("sample", row): {
            "model": "train holofusion",
            "coarse": "sample holodiffusion",
            "hypotheses": "hypotheses holofusion",
        }
        for row in ("holofusion", "holofusion_sds")
    },
    ("hypotheses", "code_fusion"): {"model": "train code_fusion", "coarse": "sample code_fusion_coarse"},
    ("sample", "code_fusion_mesh"): {
        "model": "train code_fusion",
        "coarse": "sample code_fusion_coarse",
        "hypotheses": "hypotheses code_fusion",
    },
    ("sample", "code_fusion_feedforward"): {
        "model": "train code_fusion_feedforward",
        "coarse": "sample code_fusion_coarse",
        "hypotheses": "hypotheses code_fusion",
    },
    ("render", "holodiffusion"): {"samples": "sample holodiffusion"},
    ("mesh", "get3d"): {"samples": "sample get3d"},
    ("mesh", "code_fusion_mesh"): {"samples": "sample code_fusion_mesh"},
    ("evaluate", "holodiffusion"): {"views": "render holodiffusion/.."},
    ("consistency", "holodiffusion"): {"views": "render holodiffusion/.."},
}
SCENES = (
    *("holodiffusion", "holodiffusion_star", "holofusion", "code_fusion_coarse", "code_fusion_mesh"),
    *("pigan", "graf", "eg3d", "get3d", "sds", "magic3d_sds"),
)
EXACT = 2e-6
# Adam's first steps are as long for gradients of any size, so that a rounding of them can turn a step round: that of a bias
# in front of a normalisation is nothing else
FITTED = {("warmup", "warmup"): 5e-3, ("sample", "holofusion"): 1e-3, ("sample", "holofusion_sds"): 1e-3}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, prepared_smoke: Path) -> Path:
    """Settings of smoke, with fewer steps and in fp32, and its data."""
    project = tmp_path_factory.mktemp("accelerator")
    (project / "config").mkdir()
    (project / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    overlay = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text())
    overlay["methods"] = sorted({row for _, row in STEPS_OF_ROWS if row in ROWS})
    for name in (
        "warmup",
        "training",
        "codes",
        "code_training",
        "feedforward",
        "pigan",
        "graf",
        "eg3d",
        "get3d",
        "sds",
    ):
        overlay.setdefault(name, {})["steps"] = 2
    overlay["volume"]["precision"] = "fp32"
    overlay["adversarial"]["r1_every"] = 1
    overlay["reconstruction"] |= {"free_steps": 20, "tuned_steps": 10}  # enough for codes whose scenes have a surface
    overlay["codes"]["tuned_steps"] = 1
    overlay["consistency"]["steps"] = 3
    overlay["holofusion_sds"] = {"distillation": {"mode": "full", "loss": "sds", "steps": 2}}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), results)
    shutil.copytree(prepared_smoke, results / "data/hydrant")
    return results


@pytest.fixture(scope="module")
def made(results: Path):
    """A function: the result of a step of a row on the CPU, made once, from all that it needs."""

    def once(step: str, row: str) -> Path:
        out = results / "cpu" / step / row / "0" if step == "render" else results / "cpu" / step / row
        if not out.exists():
            run(results, made_of, step, row, out, CPU)
        return out

    def made_of(name: str) -> Path:
        step, row = name.removesuffix("/..").split()
        return once(step, row).parent if name.endswith("/..") else once(step, row)

    return made_of


def run(results: Path, made, step: str, row: str, out: Path, device: torch.device) -> None:
    inputs = {name: made(needed) for name, needed in STEPS_OF_ROWS[step, row].items()}
    if step != "sample":
        inputs["data"] = results / "data/hydrant"
    name = {"reconstruct": "hydrant"}.get(step, "hydrant-s0" if row not in ROWS else f"{row}-hydrant-s0")
    job = job_of(load_step(results / f"config/{step}/{name}.yaml"), out, **inputs)
    import_module(STEPS[step].module).run(replace(job, chosen_device=device))


@pytest.fixture
def simulated():
    """The accelerator, with PyTorch3D's compiled rasteriser, which knows CUDA alone, run on the CPU."""
    with accelerator() as waits, rasteriser_on_host():
        yield waits


@pytest.mark.parametrize(("step", "row"), STEPS_OF_ROWS)
def test_a_step_gives_what_it_gives_on_the_cpu(results, made, tmp_path, request, step, row):
    theirs = made(f"{step} {row}")
    request.getfixturevalue("simulated")
    ours = tmp_path / theirs.name
    run(results, made, step, row, ours, DEVICE)
    compare(ours, theirs, FITTED.get((step, row), EXACT))


def compare(ours: Path, theirs: Path, tolerance: float) -> None:
    files = [ours] if ours.is_file() else [path for path in ours.rglob("*") if path.is_file()]
    compared = 0
    for path in files:
        other = theirs / path.relative_to(ours) if ours.is_dir() else theirs
        if path is ours:
            numbers = [list(numbers_of(json.loads(p.read_text()))) for p in (path, other)]
            assert len(numbers[0]) == len(numbers[1]) > 0
            assert all(math.isclose(a, b, rel_tol=1e-2, abs_tol=1e-3) for a, b in zip(*numbers, strict=True))
        elif path.suffix == ".safetensors":
            first, second = load_file(path), load_file(other)
            assert first.keys() == second.keys()
            for name in first:
                torch.testing.assert_close(
                    first[name], second[name], rtol=tolerance, atol=tolerance, msg=f"{path}: {name}"
                )
        elif path.suffix in (".npy", ".png"):
            first, second = (np.load(p) if p.suffix == ".npy" else np.asarray(Image.open(p)) for p in (path, other))
            assert np.abs(first.astype(float) - second).max() <= 1, path
        elif path.suffix in (".glb", ".ply", ".obj"):
            np.testing.assert_allclose(*(trimesh.load(part).bounds for part in (path, other)), atol=1e-4)
        else:
            continue
        compared += 1
    assert compared


def numbers_of(content: object):
    if isinstance(content, dict):
        for key, part in content.items():
            if key != "seconds":
                yield from numbers_of(part)
    elif isinstance(content, list):
        for part in content:
            yield from numbers_of(part)
    elif isinstance(content, float):
        yield content


@pytest.mark.parametrize("row", SCENES)
def test_a_scene_is_rendered_and_meshed_alike(results, made, request, row):
    folder = made(f"sample {row}") / "000000"
    cameras = PreparedCategory.load(results / "data/hydrant").evaluation_cameras[:2]
    there = load_scene(folder, CPU)[0]
    views, mesh = there.render(cameras, 16), there.surface(8)
    request.getfixturevalue("simulated")
    here = load_scene(folder, DEVICE)[0]
    seen, own = here.render(cameras.to(DEVICE), 16), here.surface(8)
    assert seen.rgb.device == DEVICE
    for part in ("rgb", "alpha", "depth"):
        torch.testing.assert_close(getattr(seen, part).cpu(), getattr(views, part), rtol=1e-4, atol=1e-4)
    assert (mesh is None) == (own is None)
    if mesh is not None:
        np.testing.assert_allclose(own.vertices, mesh.vertices, atol=1e-4)


def fused(results: Path, made, device: torch.device, mode: str) -> dict[str, torch.Tensor]:
    """Tensors of a scene that HoloFusion fuses."""
    resolved = load_step(results / "config/sample/holofusion-hydrant-s0.yaml")
    settings = dict(resolved.settings)
    settings["distillation"] = settings["distillation"].model_copy(update={"mode": mode})
    method = load_method(made("train holofusion"), device, settings)
    scene = method.superresolve(load_scene(made("sample holodiffusion") / "000000", device)[0], 0)
    return method.fuse(scene, HypothesisBank.load(made("hypotheses holofusion") / "000000")).tensors()


@pytest.mark.parametrize("mode", ["fast", "full"])
def test_both_ways_of_distillation(results, made, request, mode):
    theirs = fused(results, made, CPU, mode)
    request.getfixturevalue("simulated")
    ours = fused(results, made, DEVICE, mode)
    for name, value in ours.items():
        torch.testing.assert_close(value.cpu(), theirs[name], rtol=1e-3, atol=1e-3)


def wrong(function):
    """The function, with its first tensor left on the CPU."""

    def called(*arguments, **named):
        found = function(*arguments, **named)
        return (found[0].cpu(), *found[1:]) if isinstance(found, tuple) else found.cpu()

    return called


@pytest.mark.parametrize("place", ["training step", "renderer", "distillation"])
def test_a_tensor_left_on_the_cpu_is_found(results, made, simulated, monkeypatch, tmp_path, place):
    made("hypotheses holofusion")
    if place == "training step":
        kind = holofusion.HoloFusion
        monkeypatch.setattr(kind, "predict_clean", wrong(kind.predict_clean))
        act = lambda: run(results, made, "train", "holofusion", tmp_path / "run", DEVICE)  # noqa: E731
    elif place == "renderer":
        monkeypatch.setattr(volume, "stratified_depths", wrong(volume.stratified_depths))
        scene = load_scene(made("sample holodiffusion") / "000000", DEVICE)[0]
        cameras = PreparedCategory.load(results / "data/hydrant").evaluation_cameras[:1].to(DEVICE)
        act = lambda: scene.render(cameras, 16)  # noqa: E731
    else:
        monkeypatch.setattr(distillation, "_render", wrong(distillation._render))
        act = lambda: fused(results, made, DEVICE, "full")  # noqa: E731
    with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
        act()
