"""Settings: mistakes are refused in one line each, and a resolved file changes only when what its step reads changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from holofusion.checks import data_root
from holofusion.config import Resolved, discard_shards, load_params, load_step, write_resolved
from holofusion.files import UserError
from holofusion.methods.registry import ENTRIES, coarse_of
from holofusion.schema import README_FILE, SCHEMA_FILE, json_schema, readme
from holofusion.settings import Params

PRESETS = ("mini", "smoke", "photos")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is in {path} {text.count(old)} times"
    path.write_text(text.replace(old, new))


def refusal(project: Path, preset: str | None = None) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_params(project / "params.yaml", preset)
    return str(caught.value).splitlines()


def resolved_files(project: Path, preset: str = "mini") -> dict[str, str]:
    write_resolved(load_params(project / "params.yaml", preset), project / "results")
    folder = project / "results" / "config"
    return {str(path.relative_to(folder).with_suffix("")): path.read_text() for path in folder.rglob("*.yaml")}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_load(repository: Path, preset: str) -> None:
    params = load_params(repository / "params.yaml", preset)
    assert params.preset == preset
    assert set(params.methods) <= set(ENTRIES)


def test_overlay_changes_only_its_keys(repository: Path) -> None:
    base, photos = (load_params(repository / "params.yaml", preset).model_dump() for preset in ("mini", "photos"))
    assert photos["categories"] == ["apple"]
    assert photos["dataset"] == base["dataset"] | {"source": "co3d", "image_size": 96}
    same = set(base) - {"preset", "categories", "dataset"}
    assert {key: photos[key] for key in same} == {key: base[key] for key in same}


def test_exponents_without_a_point_are_numbers(project: Path) -> None:
    assert "learning_rate: 5e-4" in (project / "params.yaml").read_text()
    assert load_params(project / "params.yaml").training.learning_rate == 0.0005


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  bootstrap: 0.5", "  bootstap: 0.5", "training.bootstap: unknown key; did you mean 'training.bootstrap'?"),
        ("sampling:", "smapling:", "smapling: unknown key; did you mean 'sampling'?"),
        ("  top_k: 1", "  top_k: 1\n  rays: 3", "distillation.rays: unknown key; did you mean 'warmup.rays'?"),
        ("loss: sds", "los: sds", "holofusion_sds.distillation.los: unknown key; did you mean "
         "'holofusion_sds.distillation.loss'?"),  # fmt: skip
        ("  bootstrap: 0.5", "  bootstrap: 1.5", "training.bootstrap: 1.5 is not valid; it should be less than or equal to 1"),
        ("  scenes: 16", "  scenes: 0", "sampling.scenes: 0 is not valid; it should be greater than or equal to 1"),
        ("  scenes: 16", "  scenes: many", "sampling.scenes: 'many' is not valid; it should be a valid integer"),
        ("  scenes: 16", "  scenes: true", "sampling.scenes: True is not valid; it should be a valid integer"),
        ("  sampler: ddpm", "  sampler: euler", "sampling.sampler: 'euler' is not valid; it should be 'ddpm' or 'ddim'"),
        ("bootstrap: 0.0", "bootstrap: -1.0", "holodiffusion_nobootstrap.training.bootstrap: -1.0 is not valid; "
         "it should be greater than or equal to 0"),  # fmt: skip
        ("  shards: 2", "  shards: 20", "sampling.shards: 20 is not valid; it should be at most sampling.scenes, which is 16"),
        ("images: 0}", "images: 99}", "holodiffusion_nobootstrap.superresolution.images: 99 is not valid; "
         "it should be at most training.batch, which is 8"),  # fmt: skip
        ("  - holofusion_mse", "  - holofusion_msa", "methods: unknown method 'holofusion_msa'; did you mean 'holofusion_mse'?"),
        ("seeds: [0]", "seeds: [0, 0]", "seeds: an entry is given twice"),
        ("  root: null", "  root: folder", "dataset.root: is only read with dataset.source: co3d; remove it or change the "
         "source"),  # fmt: skip
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(project: Path, old: str, new: str, expected: str) -> None:
    replace(project / "params.yaml", old, new)
    lines = refusal(project)
    assert f"{project / 'params.yaml'}: {expected}" in lines
    # a misspelt key is also missing; nothing else may be said
    assert len(lines) == 1 or all(line == lines[0] or "missing" in line or "unknown" in line for line in lines)


def test_every_mistake_is_listed(project: Path) -> None:
    replace(project / "params.yaml", "  ema: 0.995", "  ema: 2.0")
    replace(project / "params.yaml", "  shards: 2", "  shards: none")
    assert [line.split(": ")[1] for line in refusal(project)] == ["training.ema", "sampling.shards"]


def test_a_mistake_in_an_overlay_names_the_overlay(project: Path) -> None:
    replace(project / "config" / "photos.yaml", "image_size: 96", "image_size: 97")
    assert refusal(project, "photos")[0].startswith(f"{project / 'config' / 'photos.yaml'}: dataset.image_size: 97")


def test_unknown_preset_names_the_nearest(project: Path) -> None:
    assert refusal(project, "smok") == [
        f"preset 'smok': there is no {project / 'config' / 'smok.yaml'}; did you mean 'smoke'?"
    ]


def test_broken_yaml_names_the_line(project: Path) -> None:
    (project / "params.yaml").write_text("preset: mini\ndataset: {a: [1}\n")
    assert refusal(project)[0].startswith(f"{project / 'params.yaml'}:2: not valid YAML")


def test_a_key_given_twice_is_refused(project: Path) -> None:
    replace(project / "params.yaml", "  top_k: 1", "  top_k: 1\n  top_k: 2")
    assert refusal(project)[0].endswith("top_k: given twice in this section")


def test_photographs_are_looked_for_before_any_job(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_params(project / "params.yaml", "photos")
    monkeypatch.delenv("CO3DV2_DATASET_ROOT", raising=False)
    with pytest.raises(UserError, match=r"^dataset\.root: not set; .*CO3DV2_DATASET_ROOT$"):
        data_root(params)
    monkeypatch.setenv("CO3DV2_DATASET_ROOT", str(project / "absent"))
    with pytest.raises(UserError, match=r"^CO3DV2_DATASET_ROOT: .*absent: no such folder"):
        data_root(params)
    (project / "photos" / "hydrant").mkdir(parents=True)
    (project / "photos" / "hydrant" / "frame_annotations.jgz").touch()
    monkeypatch.setenv("CO3DV2_DATASET_ROOT", str(project / "photos"))
    with pytest.raises(UserError, match=r"^categories: 'apple' is not in .*; it holds hydrant$"):
        data_root(params)
    (project / "photos" / "apple").mkdir()
    (project / "photos" / "apple" / "frame_annotations.jgz").touch()
    assert data_root(params) == project / "photos"


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("{loss: mse}", "{loss: mse, top_k: 2}", {"sample/holofusion_mse"}),
        ("  top_k: 1", "  top_k: 2", {"sample/holofusion", "sample/holofusion_mse", "sample/holofusion_sds"}),
        ("  ema: 0.995", "  ema: 0.9", {"train/holofusion", "train/holodiffusion_nobootstrap"}),
        ("bootstrap: 0.0", "bootstrap: 0.1", {"train/holodiffusion_nobootstrap"}),
        ("  size: 160", "  size: 170", {"dataset/teddybear"}),
        ("  views: 16", "  views: 12", {"hypotheses/holofusion"}),
        ("  sample_columns: 8", "  sample_columns: 4", {"report/report"}),
        ("  sample: 1", "  sample: 2", set()),
        ("# Every setting", "# Each setting", set()),
    ],
)
def test_editing_a_key_changes_only_the_steps_that_read_it(
    project: Path, old: str, new: str, changed: set[str]
) -> None:
    before = resolved_files(project)
    stamps = {path: path.stat().st_mtime_ns for path in (project / "results").rglob("*.yaml")}
    replace(project / "params.yaml", old, new)
    after = resolved_files(project)
    assert {name.removesuffix("-teddybear-s0") for name in after if after[name] != before[name]} == changed
    rewritten = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert len(rewritten) == len(changed)


def test_resolved_settings_hold_what_the_step_reads(project: Path) -> None:
    files = resolved_files(project)
    assert {name.split("/")[0] for name in files} == {
        "dataset", "prepare", "warmup", "train", "hypotheses", "sample", "render", "evaluate", "report",
    }  # fmt: skip
    step = read(project, "sample/holofusion_sds-teddybear-s0")
    assert (step.step, step.method, step.category, step.seed) == ("sample", "holofusion_sds", "teddybear", 0)
    assert (step.settings.distillation.loss, step.settings.distillation.top_k) == ("sds", 1)
    assert step.settings.training is None and step.settings.threads is None
    assert read(project, "train/holodiffusion_nobootstrap-teddybear-s0").settings.training.bootstrap == 0.0
    assert read(project, "train/holofusion-teddybear-s0").settings.training.bootstrap == 0.5
    report = read(project, "report/report").settings
    assert (report.preset, report.seeds) == ("mini", [0])


def read(project: Path, name: str) -> Resolved:
    return load_step(project / "results" / "config" / f"{name}.yaml")


def test_hash_is_that_of_the_settings_and_the_run(project: Path) -> None:
    resolved_files(project)
    step = read(project, "render/holodiffusion-teddybear-s0")
    content = {"method": "holodiffusion", "category": "teddybear", "seed": 0, "settings": {
        "render": {"views": 12, "turntable_scenes": 8, "turntable_frames": 24}}}  # fmt: skip
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert step.hash == hashlib.sha256(text.encode()).hexdigest()


def test_a_resolved_file_edited_by_hand_is_refused(project: Path) -> None:
    resolved_files(project)
    path = project / "results" / "config" / "render" / "holofusion-teddybear-s0.yaml"
    replace(path, "views: 12", "views: 13")
    with pytest.raises(UserError, match="does not match its own config_hash"):
        load_step(path)


def test_results_of_another_preset_are_not_overwritten(project: Path) -> None:
    resolved_files(project)
    (project / "results" / "runs").mkdir()
    with pytest.raises(UserError, match=r"holds a 'mini' run; move it away, or pass RESULTS=other-folder$"):
        resolved_files(project, "smoke")
    resolved_files(project)


def test_smoke_results_may_be_overwritten(project: Path) -> None:
    resolved_files(project, "smoke")
    (project / "results" / "runs").mkdir()
    resolved_files(project, "mini")
    assert json.loads((project / "results" / "preset.json").read_text()) == {"preset": "mini"}


def test_a_folder_of_other_things_is_left_alone(project: Path) -> None:
    (project / "results").mkdir()
    (project / "results" / "thesis.tex").touch()
    with pytest.raises(UserError, match="not a run of this program"):
        resolved_files(project)
    assert [path.name for path in (project / "results").iterdir()] == ["thesis.tex"]


def test_shards_beyond_the_last_are_discarded(tmp_path: Path) -> None:
    for name in ("views/a-b-s0/0", "views/a-b-s0/1", "views/a-b-s0/10", "metrics/features/1"):
        (tmp_path / name).mkdir(parents=True)
    discard_shards(tmp_path, 1)
    assert sorted(path.name for path in (tmp_path / "views" / "a-b-s0").iterdir()) == ["0"]
    assert (tmp_path / "metrics" / "features" / "1").is_dir()


def test_generated_files_are_up_to_date(repository: Path) -> None:
    for path, text in ((SCHEMA_FILE, json_schema()), (README_FILE, readme())):
        assert (repository / path).read_text() == text, f"{path} is out of date: run `holofusion schema`"


def test_registry_and_settings_agree() -> None:
    for name, entry in ENTRIES.items():
        assert entry.name == name and entry.trained_by in ENTRIES
        assert ENTRIES[coarse_of(name)].trained_by == entry.trained_by
        section = Params.model_fields.get(name)
        assert (set(section.annotation.model_fields) if section else set()) == set(entry.sections)


def test_reading_settings_loads_no_torch() -> None:
    code = "import sys, holofusion.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
