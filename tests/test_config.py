"""Settings: mistakes are refused in one line each, and a resolved file changes only when what its step reads changes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from holofusion.checks import data_root
from holofusion.config import Resolved, discard_shards, load_params, load_step, resolved_steps, write_resolved
from holofusion.files import UserError
from holofusion.methods.registry import ENTRIES, coarse_of, needs_warmup
from holofusion.schema import README_FILE, SCHEMA_FILE, json_schema, readme
from holofusion.settings import Params

Edit = Callable[..., None]
PRESETS = ("mini", "smoke", "photos", "paper")


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


def leaves(content: dict, prefix: str = "") -> dict[str, object]:
    """{"section.key": value}, nested to any depth."""
    found: dict[str, object] = {}
    for key, value in content.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


@pytest.mark.parametrize("preset", ["photos", "smoke", "paper"])
def test_overlay_changes_its_keys_and_no_other(repository: Path, preset: str) -> None:
    base, laid_over = (leaves(load_params(repository / "params.yaml", name).model_dump()) for name in ("mini", preset))
    overlay = leaves(yaml.safe_load((repository / "config" / f"{preset}.yaml").read_text()))
    assert {key: laid_over[key] for key in overlay} == overlay
    assert {key for key in base if base[key] != laid_over[key]} <= set(overlay) | {"preset"}


def test_exponents_without_a_point_are_numbers(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"learning_rate: [^\s,}]+", "learning_rate: 5e-4", text))
    assert load_params(project / "params.yaml").training.learning_rate == 0.0005


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("smapling", {}, "unknown key; did you mean 'sampling'?"),
        ("training.lerning_rate", 1.0, "unknown key; did you mean 'training.learning_rate'?"),
        ("distillation.kernel_subsets", 3, "unknown key; did you mean 'evaluation.kernel_subsets'?"),
        ("holofusion_sds.distillation.los", "mse", "unknown key; did you mean 'holofusion_sds.distillation.loss'?"),
        ("training.bootstrap", 1.5, "1.5 is not valid; it should be less than or equal to 1"),
        ("holodiffusion_nobootstrap.training.bootstrap", -1.0, "-1.0 is not valid; it should be greater than or equal to 0"),
        ("training.bootstrap", 0.01, "0.01 is not valid; of a batch of {training.batch} it is no object (0: no bootstrap)"),
        ("sampling.scenes", 0, "0 is not valid; it should be greater than or equal to 1"),
        ("sampling.scenes", "many", "'many' is not valid; it should be a valid integer"),
        ("sampling.scenes", True, "True is not valid; it should be a valid integer"),
        ("sampling.sampler", "euler", "'euler' is not valid; it should be 'ddpm' or 'ddim'"),
        ("sampling", 3, "3 is not a section; it should hold `key: value` lines"),
        ("training.rendered", 99, "99 is not valid; it should be at most training.batch, which is {training.batch}"),
        ("holodiffusion_nobootstrap.training.rendered", 99, "99 is not valid; it should be at most training.batch, which "
         "is {training.batch}"),  # fmt: skip
        ("methods", ["holofusion_msa"], "unknown method 'holofusion_msa'; did you mean 'holofusion_mse'?"),
        ("seeds", [0, 0], "an entry is given twice"),
        ("dataset.root", "folder", "is only read with dataset.source: co3d; remove it or change the source"),
        ("download.release", "full", "is only read with dataset.source: co3d; set it to null or change the source"),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(project: Path, edit: Edit, key: str, value: object, expected: str) -> None:
    batch = load_params(project / "params.yaml").training.batch
    edit(project, **{key: value})
    expected = expected.replace("{training.batch}", str(batch))
    assert refusal(project) == [f"{project / 'params.yaml'}: {key}: {expected}"]


def test_a_missing_key_is_named(project: Path, edit: Edit) -> None:
    edit(project, drop="training.ema")
    assert refusal(project) == [
        f"{project / 'params.yaml'}: training.ema: missing; every key must be given (config/README.md explains them)"
    ]


def test_every_mistake_is_listed(project: Path, edit: Edit) -> None:
    edit(project, **{"training.ema": 2.0, "sampling.shards": "none"})
    assert [line.split(": ")[1] for line in refusal(project)] == ["training.ema", "sampling.shards"]


def test_a_mistake_in_an_overlay_names_the_overlay(project: Path, edit: Edit) -> None:
    edit(project, "config/photos.yaml", **{"dataset.image_size": 97})
    assert refusal(project, "photos")[0].startswith(f"{project / 'config' / 'photos.yaml'}: dataset.image_size: 97")


def test_unknown_preset_names_the_nearest(project: Path) -> None:
    assert refusal(project, "smok") == [
        f"preset 'smok': there is no {project / 'config' / 'smok.yaml'}; did you mean 'smoke'?"
    ]


def test_broken_yaml_names_the_line(project: Path) -> None:
    (project / "params.yaml").write_text("preset: mini\ndataset: {a: [1}\n")
    assert refusal(project)[0].startswith(f"{project / 'params.yaml'}:2: not valid YAML")


def test_a_key_given_twice_is_refused(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"(\n  top_k: \d+)", r"\1\1", text))
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


def test_photographs_to_be_downloaded_need_not_be_there(project: Path, edit: Edit, monkeypatch) -> None:
    edit(project, "config/photos.yaml", **{"download": {"release": "full"}})
    params = load_params(project / "params.yaml", "photos")
    monkeypatch.setenv("CO3DV2_DATASET_ROOT", str(project / "absent"))
    assert data_root(params) == project / "absent"
    steps = {(content["step"], content["name"]) for content in resolved_steps(params)}
    assert ("download", "apple") in steps
    monkeypatch.delenv("CO3DV2_DATASET_ROOT")
    with pytest.raises(UserError, match=r"^dataset\.root: not set"):
        data_root(params)


FROM_NOISE = ("holodiffusion", "holodiffusion_nobootstrap", "pigan", "eg3d", "get3d", "sds")


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("holofusion_mse.distillation.top_k", {"sample/holofusion_mse"}),
        ("distillation.top_k", {"sample/holofusion", "sample/holofusion_mse", "sample/holofusion_sds"}),
        ("denoiser.noise_steps", {"train/holofusion", "train/holodiffusion_nobootstrap", "sample/holodiffusion",
                                  "sample/holodiffusion_nobootstrap", "curve/holodiffusion",
                                  "curve/holodiffusion_nobootstrap"}),
        ("curve.views", {f"curve/{name}" for name in FROM_NOISE}),
        ("holodiffusion_nobootstrap.training.steps", {"train/holodiffusion_nobootstrap"}),
        ("synthetic.size", {"dataset/hydrant", "dataset/teddybear"}),
        ("fast.hypotheses.views", {"hypotheses/holofusion"}),
        ("hypotheses.views", set()),  # of the full recipe
        ("report.sample_columns", {"report/report"}),
        ("threads.sample", set()),
    ],
)  # fmt: skip
def test_editing_a_key_changes_only_the_steps_that_read_it(
    project: Path, edit: Edit, key: str, changed: set[str]
) -> None:
    before = resolved_files(project)
    stamps = {path: path.stat().st_mtime_ns for path in (project / "results").rglob("*.yaml")}
    edit(project, **{key: 91})
    after = resolved_files(project)
    assert {name.removesuffix("-hydrant-s0") for name in after if after[name] != before[name]} == changed
    rewritten = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert len(rewritten) == len(changed)


def test_resolved_settings_hold_what_the_step_reads(project: Path, edit: Edit) -> None:
    edit(
        project,
        **{"distillation.top_k": 3, "training.bootstrap": 0.25, "holodiffusion_nobootstrap.training.bootstrap": 0.0},
    )
    files = resolved_files(project)
    assert {name.split("/")[0] for name in files} == {
        "dataset", "prepare", "warmup", "train", "hypotheses", "sample", "render", "evaluate", "curve", "report",
        "consistency", "mesh", "geometry",
    }  # fmt: skip
    step = read(project, "sample/holofusion_sds-hydrant-s0")
    assert (step.step, step.method, step.category, step.seed) == ("sample", "holofusion_sds", "hydrant", 0)
    assert (step.settings.distillation.loss, step.settings.distillation.top_k) == ("sds", 3)
    assert step.settings.training is None and step.settings.threads is None
    assert read(project, "train/holodiffusion_nobootstrap-hydrant-s0").settings.training.bootstrap == 0.0
    assert read(project, "train/holofusion-hydrant-s0").settings.training.bootstrap == 0.25
    report = read(project, "report/report").settings
    assert (report.preset, report.seeds) == ("mini", [0])


def read(project: Path, name: str) -> Resolved:
    return load_step(project / "results" / "config" / f"{name}.yaml")


def test_hash_is_that_of_the_settings_and_the_run(project: Path, edit: Edit) -> None:
    edit(project, **{"render.views": 12, "render.turntable_scenes": 8, "render.turntable_frames": 24})
    resolved_files(project)
    step = read(project, "render/holodiffusion-hydrant-s0")
    content = {"method": "holodiffusion", "category": "hydrant", "seed": 0, "settings": {
        "render": {"views": 12, "turntable_scenes": 8, "turntable_frames": 24,
                   "consistency_scenes": 8, "consistency_views": 32}}}  # fmt: skip
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert step.hash == hashlib.sha256(text.encode()).hexdigest()


def test_a_resolved_file_edited_by_hand_is_refused(project: Path) -> None:
    resolved_files(project)
    path = project / "results" / "config" / "render" / "holofusion-hydrant-s0.yaml"
    path.write_text(path.read_text().replace("  views: ", "  views: 1"))
    with pytest.raises(UserError, match="does not match its own config_hash"):
        load_step(path)


def test_results_of_another_preset_are_not_overwritten(project: Path) -> None:
    resolved_files(project)
    (project / "results" / "runs").mkdir()
    with pytest.raises(UserError, match=r"holds a 'mini' run, not 'smoke'; move it away, or pass RESULTS="):
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
        if not needs_warmup(name):
            assert name in entry.sections and set(entry.sections) <= set(Params.model_fields)
            continue
        section = Params.model_fields.get(name)
        assert (set(section.annotation.model_fields) if section else set()) == set(entry.sections)


def test_reading_settings_loads_no_torch() -> None:
    code = "import sys, holofusion.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_differs_from_the_default_is_listed_and_stale_files_go(project: Path, edit: Edit) -> None:
    default, folder = load_params(project / "params.yaml"), project / "results"
    write_resolved(default, folder, default)
    assert json.loads((folder / "config/changed.json").read_text()) == {}
    stale = folder / "config/evaluate/real_other-hydrant.yaml"
    assert stale.is_file()
    edit(project, **{"evaluation.other_category": None, "sampling.scenes": 20})
    write_resolved(load_params(project / "params.yaml"), folder, default)
    assert json.loads((folder / "config/changed.json").read_text()) == {
        "evaluation.other_category": {"default": "teddybear", "value": None},
        "sampling.scenes": {"default": 16, "value": 20},
    }
    assert not stale.exists() and (folder / "config/evaluate/real_floor-hydrant.yaml").is_file()
