"""What every method that trains by itself owes the pipeline: train, resume, sample, save, render, density."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import Method
from holofusion.methods.files import load_method
from holofusion.methods.trained import TrainedRun
from holofusion.pipeline import registry
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.registry import ROWS, Need, Row, Source, coarse_of
from holofusion.pipeline.resolve import load_step, write_resolved
from holofusion.report.page import run_report
from holofusion.scenes.base import SampleRequest
from holofusion.scenes.files import SCENES, load_scene
from holofusion.steps import train
from holofusion.utils.files import read_json
from tests.jobs import do

REPOSITORY = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
# (what loads Stable Diffusion has tests of its own)
MADE = [name for name, row in ROWS.items() if row.model and "stable_dreamfusion" not in row.train_settings.model_fields]
ALONE = [name for name in MADE if not ROWS[name].needs]


@pytest.fixture(scope="module")
def results(tmp_path_factory, prepared_smoke) -> Path:
    """Smoke-sized settings and data of all methods that train by themselves, in two steps each."""
    project = tmp_path_factory.mktemp("contract")
    (project / "config").mkdir()
    (project / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    overlay = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text())
    overlay |= {"methods": MADE}
    for name in (*ALONE, "warmup", "training", "codes"):
        # a row that differs from another in some keys has these in a section of that row's name
        section = overlay[name][ROWS[name].changes[0]] if name in ROWS and ROWS[name].changes else overlay[name]
        section["steps"] = 2
    overlay["adversarial"] |= {"checkpoint_every": 1, "r1_every": 1}
    overlay["sds"] |= {"checkpoint_every": 1}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    results = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), results)
    shutil.copytree(prepared_smoke, results / "data/hydrant")
    return results


@pytest.mark.parametrize("method", ALONE)
def test_contract(results, tmp_path, method, monkeypatch):
    run, data = f"{method}-hydrant-s0", results / "data/hydrant"
    do(results, "train", run, tmp_path / "whole", data=data)

    original = train.fit

    def killed(*arguments):
        network = arguments[0]
        once = network.training_step

        def dies(batch, number, generator):
            if number == 1:
                raise KeyboardInterrupt
            return once(batch, number, generator)

        network.training_step = dies
        return original(*arguments)

    monkeypatch.setattr(train, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        do(results, "train", run, tmp_path / "model", data=data)
    monkeypatch.setattr(train, "fit", original)
    do(results, "train", run, tmp_path / "model", data=data)
    weights = (tmp_path / "model/model.safetensors").read_bytes()
    assert weights == (tmp_path / "whole/model.safetensors").read_bytes()

    do(results, "sample", run, tmp_path / "scenes", model=tmp_path / "model")
    first, second = (load_scene(tmp_path / f"scenes/{seed:06d}", CPU)[0] for seed in (0, 1))
    cameras = PreparedCategory.load(data).evaluation_cameras[:2]
    views = first.render(cameras, 32)
    assert views.rgb.shape == (2, 3, 32, 32) and views.alpha.shape == views.depth.shape == (2, 1, 32, 32)
    assert all(torch.isfinite(part).all() for part in (views.rgb, views.alpha, views.depth))
    assert views.rgb.min() >= -1e-3 and views.rgb.max() <= 1.001
    assert torch.equal(views.rgb[1:], first.render(cameras[1], 32).rgb)  # a view does not depend on the others
    assert not torch.equal(views.rgb, second.render(cameras, 32).rgb)
    mesh = first.surface(16, 1.0)
    assert mesh.vertices.shape == mesh.colours.shape and mesh.faces.shape[1] == 3
    made = load_method(tmp_path / "model", CPU, dict(load_step(results / f"config/sample/{run}.yaml").settings))
    assert isinstance(made, Method) and made.seed_name == method.removesuffix("_whole")
    again = made.sample(SampleRequest(0)).render(cameras, 32)
    torch.testing.assert_close(again.rgb, views.rgb, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def samples(results, tmp_path_factory):
    """A function: the folder of a row's scenes, made from all that they are made from, once."""
    data, made = results / "data/hydrant", tmp_path_factory.mktemp("rows")

    def once(step: str, name: str, folder: str, **inputs: Path | None) -> Path:
        out = made / folder
        return out if out.exists() else do(results, step, name, out, **inputs)

    def trained(method: str) -> Path:
        name = f"{method}-hydrant-s0"
        needs, start = ROWS[method].needs, {}
        if Need.WARMUP in needs:
            start["warmup"] = once("warmup", "hydrant-s0", "warmup", data=data)
        if Need.CODES in needs:
            grids = once("reconstruct", "hydrant", "reconstructions", data=data)
            start["codes"] = once("encode", "hydrant-s0", "codes", data=data, reconstructions=grids)
        if Need.BASE in needs:
            start["base"] = trained(ROWS[method].base)
        return once("train", name, method, data=data, **start)

    def scenes(method: str) -> Path:
        row, coarse, hypotheses = ROWS[method], None, None
        model, first = trained(row.trained_by), trained(row.first_stage)
        if row.source in (Source.COARSE, Source.HYPOTHESES):
            coarse = scenes(coarse_of(method))
        if row.source == Source.HYPOTHESES:
            name = f"{row.first_stage}-hydrant-s0"
            folder = f"{row.first_stage}-hypotheses"
            hypotheses = once("hypotheses", name, folder, data=data, model=first, coarse=coarse)
        name = f"{method}-hydrant-s0"
        return once("sample", name, f"{method}-scenes", model=model, coarse=coarse, hypotheses=hypotheses)

    return scenes


@pytest.mark.parametrize("method", MADE)
def test_a_picture_of_a_camera_does_not_depend_on_what_else_is_rendered(samples, results, method):
    scene = load_scene(samples(method) / "000000", CPU)[0]
    cameras = PreparedCategory.load(results / "data/hydrant").evaluation_cameras[:3]
    together = scene.render(cameras, 32)
    for index in (2, 0):
        alone = scene.render(cameras[index], 32)
        for part in ("rgb", "alpha", "depth"):
            assert torch.equal(getattr(together, part)[index : index + 1], getattr(alone, part)), part
    turned = scene.render(cameras[torch.tensor([2, 1, 0])], 32)
    assert torch.equal(turned.rgb, together.rgb.flip(0))


def test_get3d_meshes_are_closed(samples):
    mesh = load_scene(samples("get3d") / "000000", CPU)[0].surface(16).trimesh()
    assert len(mesh.faces) > 50 and mesh.is_watertight and mesh.volume > 0


@pytest.mark.parametrize("method", ["code_fusion_mesh", "code_fusion_mesh_mse", "magic3d_sds"])
def test_rows_on_a_surface_are_closed_meshes(samples, method):
    scene = load_scene(samples(method) / "000000", CPU)[0]
    mesh = scene.surface(16).trimesh()
    assert scene.kind == "painted_mesh" and len(mesh.faces) > 50 and mesh.is_watertight and mesh.volume > 0


def test_a_run_that_takes_over_another_makes_all_stages_by_itself(samples, results):
    scenes = samples("code_fusion_feedforward")
    run = TrainedRun(scenes.parent / "code_fusion_feedforward")
    assert (run.stages, run.fusions) == (("coarse", "superresolved", "fused"), ())
    cameras = PreparedCategory.load(results / "data/hydrant").evaluation_cameras[:1]
    for stage, folder in (("coarse", samples("code_fusion_coarse")), ("fused", scenes)):
        theirs = load_scene(folder / "000001", CPU)[0].render(cameras, 32).rgb
        torch.testing.assert_close(run.sample(1, stage).render(cameras, 32).rgb, theirs, rtol=0, atol=1e-5)


def test_a_toy_method_reaches_the_table_with_one_class_and_one_line(results, tmp_path, monkeypatch):
    monkeypatch.setitem(SCENES, "toy_ball", "tests.methods.toy:Ball")
    monkeypatch.setitem(registry.ROWS, "toy", Row("toy", "toy", Source.NOISE, "tests.methods.toy:Toy"))
    project, out = tmp_path / "project", tmp_path / "project/results"
    (project / "config").mkdir(parents=True)
    (project / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    overlay = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text()) | {"methods": ["toy"]}
    overlay["curve"] = {"scenes": overlay["sampling"]["scenes"], "views": overlay["render"]["views"]}
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    write_resolved(load_params(project / "params.yaml", "smoke"), out)
    shutil.copytree(results / "data", out / "data")
    data, run, metrics = out / "data/hydrant", "toy-hydrant-s0", out / "metrics"
    model = do(out, "train", run, out / f"runs/{run}", data=data)
    samples = do(out, "sample", run, out / f"samples/{run}/0", model=model)
    do(out, "render", run, out / f"views/{run}/0", data=data, samples=samples)
    floor = "real_floor-hydrant"
    do(out, "reference", floor, metrics / f"{floor}.json", data=data)
    views = out / f"views/{run}"
    do(out, "evaluate", run, metrics / f"{run}.json", data=data, views=views)
    do(out, "consistency", run, metrics / f"consistency-{run}.json", data=data, views=views)
    do(out, "mesh", run, out / f"meshes/{run}/0", data=data, samples=samples)
    do(out, "geometry", run, metrics / f"geometry-{run}.json", data=data, meshes=out / f"meshes/{run}", views=views)
    curve = do(out, "curve", run, metrics / f"curve-{run}.json", data=data, model=model)
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
