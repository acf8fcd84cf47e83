"""What every method that trains by itself owes the pipeline: train, resume, sample, save, render, density."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from holofusion.data.prepared import PreparedCategory
from holofusion.meshing.surface import extract, run_mesh
from holofusion.pipeline import registry
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import ROWS, Row, Source
from holofusion.pipeline.resolve import load_step, write_resolved
from holofusion.report.page import run_report
from holofusion.scenes.voxel import load_scene
from holofusion.steps import train as runs
from holofusion.steps.consistency import run_consistency
from holofusion.steps.curve import run_curve
from holofusion.steps.evaluate import run_evaluate
from holofusion.steps.geometry import run_geometry
from holofusion.steps.reference import run_reference
from holofusion.steps.render import run_render
from holofusion.steps.sample import run_sample
from holofusion.utils.files import read_json

REPOSITORY = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
# (what loads Stable Diffusion has a test of its own)
ALONE = [name for name, entry in ROWS.items() if entry.model and not entry.needs and name != "stable_dreamfusion"]


@pytest.fixture(scope="module")
def results(tmp_path_factory, prepared_smoke) -> Path:
    """Smoke-sized settings and data of all methods that train by themselves, in two steps each."""
    project = tmp_path_factory.mktemp("contract")
    (project / "config").mkdir()
    (project / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    overlay = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text())
    overlay |= {"methods": ALONE}
    for name in ALONE:
        overlay[name] |= {"steps": 2}
    overlay["adversarial"] |= {"checkpoint_every": 1, "r1_every": 1}
    overlay["sds"] |= {"checkpoint_every": 1}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), results)
    shutil.copytree(prepared_smoke, results / "data/hydrant")
    return results


@pytest.mark.parametrize("method", ALONE)
def test_contract(results, tmp_path, method, monkeypatch):
    run = f"{method}-hydrant-s0"
    step, data = load_step(results / f"config/train/{run}.yaml"), results / "data/hydrant"
    runs.run_train(step, data, None, tmp_path / "whole", CPU)

    original = runs.fit

    def killed(*arguments):
        network = arguments[0]
        once = network.training_step

        def dies(batch, number, generator):
            if number == 1:
                raise KeyboardInterrupt
            return once(batch, number, generator)

        network.training_step = dies
        return original(*arguments)

    monkeypatch.setattr(runs, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.run_train(step, data, None, tmp_path / "model", CPU)
    monkeypatch.setattr(runs, "fit", original)
    runs.run_train(step, data, None, tmp_path / "model", CPU)
    weights = (tmp_path / "model/model.safetensors").read_bytes()
    assert weights == (tmp_path / "whole/model.safetensors").read_bytes()

    step = load_step(results / f"config/sample/{run}.yaml")
    run_sample(step, tmp_path / "model", None, None, 0, tmp_path / "scenes", CPU)
    first, second = (load_scene(tmp_path / f"scenes/{seed:06d}", CPU)[0] for seed in (0, 1))
    cameras = PreparedCategory.load(data).evaluation_cameras[:2]
    views = first.render(cameras, 32)
    assert views.rgb.shape == (2, 3, 32, 32) and views.alpha.shape == views.depth.shape == (2, 1, 32, 32)
    assert all(torch.isfinite(part).all() for part in (views.rgb, views.alpha, views.depth))
    assert views.rgb.min() >= -1e-3 and views.rgb.max() <= 1.001
    assert torch.equal(views.rgb[1:], first.render(cameras[1], 32).rgb)  # a view does not depend on the others
    assert not torch.equal(views.rgb, second.render(cameras, 32).rgb)
    points = torch.rand(7, 3) - 0.5
    density, colour = first.density(points), first.colour(points)
    assert density is None or (density.shape == (7,) and (density >= 0).all())
    assert colour.shape == (7, 3) and colour.min() >= 0 and colour.max() <= 1

    made = runs.method_class(method)(step.settings)
    made.load_state_dict(load_file(tmp_path / "model/model.safetensors"))
    torch.testing.assert_close(made.eval().sample(0).render(cameras, 32).rgb, views.rgb, rtol=0, atol=1e-5)


def test_get3d_meshes_are_closed(results, tmp_path):
    run, data = "get3d-hydrant-s0", results / "data/hydrant"
    runs.run_train(load_step(results / f"config/train/{run}.yaml"), data, None, tmp_path / "model", CPU)
    run_sample(
        load_step(results / f"config/sample/{run}.yaml"), tmp_path / "model", None, None, 0, tmp_path / "scenes", CPU
    )
    mesh = extract(load_scene(tmp_path / "scenes/000000", CPU)[0], 16, 1.0, 1.0)
    assert len(mesh.faces) > 50 and mesh.is_watertight and mesh.volume > 0


def test_a_toy_method_reaches_the_table_with_one_class_and_one_line(results, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.ROWS, "toy", Row("toy", "toy", Source.NOISE, "tests.methods.toy:Toy", (), ("volume",)))
    monkeypatch.syspath_prepend(str(REPOSITORY))
    project, out = tmp_path / "project", tmp_path / "project/results"
    (project / "config").mkdir(parents=True)
    (project / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    overlay = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text()) | {"methods": ["toy"]}
    overlay["curve"] = {"scenes": overlay["sampling"]["scenes"], "views": overlay["render"]["views"]}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    write_resolved(load_params(project / "params.yaml", "smoke"), out)
    shutil.copytree(results / "data", out / "data")
    data, run = out / "data/hydrant", "toy-hydrant-s0"
    runs.run_train(load_step(out / f"config/train/{run}.yaml"), data, None, out / f"runs/{run}", CPU)
    run_sample(
        load_step(out / f"config/sample/{run}.yaml"), out / f"runs/{run}", None, None, 0, out / f"samples/{run}/0", CPU
    )
    run_render(
        load_step(out / f"config/render/{run}.yaml"), data, out / f"samples/{run}/0", out / f"views/{run}/0", CPU
    )
    floor = load_step(out / "config/reference/real_floor-hydrant.yaml")
    run_reference(floor, data, None, out / "metrics/real_floor-hydrant.json", CPU)
    run_evaluate(
        load_step(out / f"config/evaluate/{run}.yaml"), data, out / f"views/{run}", out / f"metrics/{run}.json", CPU
    )
    further = [load_step(out / f"config/{step}/{run}.yaml") for step in ("consistency", "mesh", "geometry")]
    run_consistency(further[0], data, out / f"views/{run}", out / f"metrics/consistency-{run}.json", CPU)
    run_mesh(further[1], out / f"samples/{run}/0", out / f"meshes/{run}/0", CPU)
    run_geometry(further[2], data, out / f"meshes/{run}", None, out / f"metrics/geometry-{run}.json")
    model, curve = out / f"runs/{run}", out / f"metrics/curve-{run}.json"
    run_curve(load_step(out / f"config/curve/{run}.yaml"), data, model, curve, CPU)
    points, scored = read_json(curve)["points"], read_json(out / f"metrics/{run}.json")["entries"]
    assert [(point["steps"], point["images"]) for point in points] == [(0, 0), (1, 2), (2, 4)]
    # made from the same weights, seeds and cameras
    assert points[-1]["value"] == pytest.approx(
        next(entry["value"] for entry in scored if entry["metric"].startswith("kd_") and entry["reference"] == "train")
    )
    assert points[0]["value"] != points[-1]["value"]
    run_report(load_step(out / "config/report/report.yaml"), out, out / "report.html")
    with open(out / "tables/metrics.csv", newline="") as file:
        metrics = {row["metric"] for row in csv.DictReader(file) if row["method"] == "toy"}
    assert {"kd_efficientnet_lite0", "coverage", "consistency_psnr", "depth_spread", "floaters"} <= metrics
    page = (out / "report.html").read_text()
    assert "toy-hydrant-s0" in page and "Not on this page" in page  # the other real rows were not made
