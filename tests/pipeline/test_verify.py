"""Content decides: an edit, other settings, another input are each named; what is in order is not made again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.provenance import Digests, record
from holofusion.pipeline.resolve import load_step, write_resolved
from holofusion.pipeline.timestamps import settle
from holofusion.pipeline.verify import examine, require_verified
from holofusion.utils.files import UserError, write_json

RUN = "pigan-hydrant-s0"


def make(results: Path, step: str, artefact: str, *inputs: str) -> Path:
    """A stand-in for what a step makes, recorded as the command does it."""
    path = results / artefact
    if path.suffix == ".json":
        write_json(path, {"value": 1.5, "entries": []})
    else:
        path.mkdir(parents=True, exist_ok=True)
        for name in ("model.safetensors", "model.json", "content.bin"):
            (path / name).write_text(json.dumps({"of": artefact, "seconds": 1.0}))
    name = {"prepare": "hydrant", "evaluate": RUN}.get(step, RUN)
    resolved = load_step(results / "config" / step / f"{name}.yaml")
    record(resolved, path, [results / other for other in inputs], results)
    return path


@pytest.fixture
def results(project: Path, edit: Callable[..., None]) -> Path:
    """One row with stand-ins for its data, weights, scenes in two shards, pictures and scores."""
    edit(project, methods=["pigan"])
    results = project / "results"
    write_resolved(load_params(project / "params.yaml"), results)
    make(results, "prepare", "data/hydrant")
    make(results, "train", f"runs/{RUN}", "data/hydrant")
    for shard in (0, 1):
        make(results, "sample", f"samples/{RUN}/{shard}", f"runs/{RUN}", "data/hydrant")
        make(results, "render", f"views/{RUN}/{shard}", f"samples/{RUN}/{shard}")
    make(results, "evaluate", f"metrics/{RUN}.json", f"views/{RUN}", "data/hydrant")
    assert len(require_verified(results)) == 7
    return results


def faults(results: Path) -> dict[str, str]:
    return {name: artefact.fault for name, artefact in examine(results).items() if artefact.fault}


def test_one_changed_byte_of_a_checkpoint_is_named(results: Path) -> None:
    path = results / f"runs/{RUN}/model.safetensors"
    content, times = bytearray(path.read_bytes()), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    content[3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=times)
    with pytest.raises(UserError, match=rf"runs/{RUN}: not as it was made") as caught:
        require_verified(results)
    assert f"metrics/{RUN}.json" in str(caught.value), "what rests on it is named too"


def test_a_score_edited_by_hand_is_named(results: Path) -> None:
    path = results / f"metrics/{RUN}.json"
    path.write_text(path.read_text().replace("1.5", "1.4"))
    assert list(faults(results)) == [f"metrics/{RUN}.json"]
    path.write_text("{")
    assert "damaged" in faults(results)[f"metrics/{RUN}.json"]


def test_settings_changed_after_training_are_named(results: Path, project: Path, edit: Callable[..., None]) -> None:
    edit(project, **{"pigan.learning_rate": 0.123})
    write_resolved(load_params(project / "params.yaml"), results)
    assert list(faults(results)) == [f"runs/{RUN}", f"samples/{RUN}/0", f"samples/{RUN}/1"], "which read that section"
    assert "other settings" in faults(results)[f"runs/{RUN}"]


def test_another_input_is_named(results: Path) -> None:
    (results / "data/hydrant/content.bin").write_text("others")
    record(load_step(results / "config/prepare/hydrant.yaml"), results / "data/hydrant", [], results)
    assert faults(results)[f"runs/{RUN}"] == "made from another data/hydrant than is there now"


def test_pictures_that_another_results_folder_made_do_not_rest_on_this_one(results: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "pictures"
    shutil.copytree(results / f"views/{RUN}/0", elsewhere)
    record(load_step(results / f"config/render/{RUN}.yaml"), results / f"views/{RUN}/1", [elsewhere], results)
    inputs = json.loads((results / f"views/{RUN}/1/provenance.json").read_text())["inputs"]
    assert list(inputs) == [str(elsewhere)] and list(inputs[str(elsewhere)]) == ["content"]


def test_times_and_the_saved_state_are_not_content(results: Path) -> None:
    path = results / f"runs/{RUN}"
    (path / "model.json").write_text(json.dumps({"of": f"runs/{RUN}", "seconds": 99.0}))
    (path / "state").mkdir()
    (path / "state/state.safetensors").write_text("later")
    assert faults(results) == {}
    (path / "model.json").write_text(json.dumps({"of": "another", "seconds": 1.0}))
    assert list(faults(results)) == [f"runs/{RUN}"]


def test_settling_orders_times_and_removes_what_has_a_fault(results: Path) -> None:
    old = time.time() - 1000
    for path in results.rglob("*"):  # as after a pull: in no order
        os.utime(path, (old, old))
    os.utime(results / "data/hydrant")
    assert settle(results, remove=True) == []
    assert (results / f"metrics/{RUN}.json").stat().st_mtime > old + 900
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.name != ".digests.json"}
    assert settle(results, remove=True) == []
    assert before == {path: path.stat().st_mtime_ns for path in before}, "once in order, nothing is touched"
    (results / f"samples/{RUN}/1/content.bin").write_text("edited")
    lines = settle(results, remove=False)
    assert lines == [f"{results}/samples/{RUN}/1: not as it was made: edited or damaged"]
    assert (results / f"samples/{RUN}/1").is_dir()
    settle(results, remove=True)
    assert not (results / f"samples/{RUN}/1").exists() and (results / f"samples/{RUN}/0").exists()
    assert not (results / f"views/{RUN}/1").exists() and not (results / f"metrics/{RUN}.json").exists(), "rest on it"


def test_a_change_far_up_is_seen_past_what_was_deleted(results: Path, project: Path, edit: Callable[..., None]) -> None:
    for shard in (0, 1):
        shutil.rmtree(results / f"samples/{RUN}/{shard}")
    assert faults(results) == {}
    edit(project, **{"sampling.steps": 17})
    write_resolved(load_params(project / "params.yaml"), results)
    assert "made from samples/" in faults(results)[f"views/{RUN}/0"]
    edit(project, **{"sampling.steps": 50})
    write_resolved(load_params(project / "params.yaml"), results)
    (results / f"runs/{RUN}/model.safetensors").write_text("others")
    record(
        load_step(results / f"config/train/{RUN}.yaml"), results / f"runs/{RUN}", [results / "data/hydrant"], results
    )
    assert faults(results)[f"views/{RUN}/0"] == f"made from another runs/{RUN} than is there now"


def test_the_saved_state_of_a_faulty_training_stays(results: Path) -> None:
    run = results / f"runs/{RUN}"
    (run / "state").mkdir()
    (run / "model.safetensors").write_text("damaged")
    settle(results, remove=True)
    assert sorted(path.name for path in run.iterdir()) == ["content.bin", "state"]


def test_digests_of_json_do_not_depend_on_how_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"b": 1, "a": [2]}')
    first = Digests().of(path)
    path.write_text('{\n  "a": [2],\n  "b": 1,\n "provenance": {}}')
    assert Digests().of(path) == first
    path.write_text('{"b": 1, "a": [3]}')
    assert Digests().of(path) != first
