"""params.yaml and its overlays: what they give, and mistakes, which are refused in one line each."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from holofusion.config.documentation import README_FILE, SCHEMA_FILE, json_schema, readme
from holofusion.config.load import from_command_line
from holofusion.config.params import Params
from holofusion.pipeline.checks import data_root, load_params
from holofusion.pipeline.registry import ROWS, Need, coarse_of
from holofusion.pipeline.resolve import resolved_steps
from holofusion.utils.files import UserError

Edit = Callable[..., None]
PRESETS = ("mini", "smoke", "photos", "paper", "gpu", "night", "fine", "seeds")


def refusal(project: Path, preset: str | None = None) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_params(project / "params.yaml", preset)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_load(repository: Path, preset: str) -> None:
    params = load_params(repository / "params.yaml", preset)
    assert params.preset == preset
    assert set(params.methods) <= set(ROWS)


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
    assert {key for key in base if base[key] != laid_over.get(key)} <= set(overlay) | {"preset"}


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
        (
            "holodiffusion_nobootstrap.training.bootstrap",
            -1.0,
            "-1.0 is not valid; it should be greater than or equal to 0",
        ),
        (
            "training.bootstrap",
            0.01,
            "0.01 is not valid; of a batch of {training.batch} it is no object (0: no bootstrap)",
        ),
        ("sampling.scenes", 0, "0 is not valid; it should be greater than or equal to 1"),
        ("sampling.scenes", "many", "'many' is not valid; it should be a valid integer"),
        ("sampling.scenes", True, "True is not valid; it should be a valid integer"),
        ("sampling.sampler", "euler", "'euler' is not valid; it should be 'ddpm' or 'ddim'"),
        ("sampling", 3, "3 is not a section; it should hold `key: value` lines"),
        ("training.rendered", 99, "99 is not valid; it should be at most training.batch, which is {training.batch}"),
        (
            "code_training.weakest",
            0.9,
            "0.9 is not valid; it should be at most code_sampling.local_below, which is 0.2",
        ),
        (
            "over_codes.superresolution.low_size",
            512,
            "512 is not valid; it should be at most dataset.image_size, which is 128",
        ),
        (
            "code_fusion_mesh.distillation.loss",
            "sds",
            "'sds' is not valid; a surface is fused with 'patch_remix' or 'mse'",
        ),
        ("methods", ["holofusion_msa"], "unknown method 'holofusion_msa'; did you mean 'holofusion_mse'?"),
        ("seeds", [0, 0], "an entry is given twice"),
        ("seeds", [], "[] is not valid; it should have at least 1 item"),
        ("dataset.root", "folder", "is only read with dataset.source: co3d; remove it or change the source"),
        ("download.release", "full", "is only read with dataset.source: co3d; set it to null or change the source"),
    ],
)
def test_mistakes_are_named_in_one_line(project: Path, edit: Edit, key: str, value: object, expected: str) -> None:
    batch = load_params(project / "params.yaml").training.batch
    edit(project, **{key: value})
    expected = expected.replace("{training.batch}", str(batch))
    assert refusal(project) == [f"{project / 'params.yaml'}: {key}: {expected}"]


CONFLICTS = (
    # what the row alone reads, or a training of its own, and a value that contradicts another
    ("holodiffusion_nobootstrap", "holodiffusion_nobootstrap.training.rendered", 99),
    ("holofusion_mse", "distillation.patch", 256),
    ("code_fusion", "over_codes.distillation.patch", 256),
    ("code_fusion_linear", "code_fusion_linear.code_training.weakest", 0.9),
    ("code_fusion_coarse", "code_denoiser.channels", [8, 8, 8, 8, 8]),
    ("get3d", "get3d.image_size", 24),
    ("graf", "graf.patch", 24),
    ("sds", "sds.noise_min", 0.99),
    ("magic3d_sds", "magic3d.noise_min", 0.6),
    ("magic3d_sds", "magic3d.image_size", 32),
    ("magic3d_sds", "magic3d.image_size", 100),
    ("holodiffusion", "volume.resolution", 8),
    ("holodiffusion_star", "superresolution.low_size", 48),
)


@pytest.mark.parametrize(("row", "key", "value"), CONFLICTS, ids=[f"{row}-{key}" for row, key, _ in CONFLICTS])
def test_values_contradict_each_other_where_a_row_is_asked_for_that_reads_them(
    project: Path, edit: Edit, row: str, key: str, value: object
) -> None:
    edit(project, methods=["pigan"], **{key: value})
    assert load_params(project / "params.yaml").methods == ["pigan"]  # which reads none of these
    edit(project, methods=[row])
    assert len(refusal(project)) == 1


def test_values_out_of_range_are_refused_whatever_the_rows(project: Path, edit: Edit) -> None:
    edit(project, methods=["pigan"], **{"get3d.image_size": -8})
    assert refusal(project)[0].split(": ")[1] == "get3d.image_size"


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


@pytest.mark.parametrize("preset", [5, ["smoke"], {"a": 1}])
def test_a_preset_that_is_no_name_is_refused(project: Path, preset: Any) -> None:
    assert refusal(project, preset) == [
        f"preset {preset!r}: should be the name of a file in {project / 'config'}, without `.yaml`"
    ]


def test_a_dotted_key_is_refused_where_it_was_given(project: Path) -> None:
    with pytest.raises(UserError, match=r"^--config: training.steps: unknown key"):
        load_params(project / "params.yaml", "smoke", [("--config", {"training.steps": 3})])


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("5e-4", 5e-4), ("[a, b]", ["a", "b"]), ("my: folder: b", None), ("2020-99-41", None), ("[a", None)],
)
def test_text_of_the_command_line_that_is_no_yaml_stays_text(text: str, value: object) -> None:
    assert from_command_line({"key": [text]}) == {"key": [text if value is None else value]}


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


def test_generated_files_are_up_to_date(repository: Path) -> None:
    for path, text in ((SCHEMA_FILE, json_schema()), (README_FILE, readme())):
        assert (repository / path).read_text() == text, f"{path} is out of date: run `holofusion schema`"


def test_registry_and_settings_agree() -> None:
    for name, entry in ROWS.items():
        assert entry.name == name and entry.trained_by in ROWS
        assert ROWS[coarse_of(name)].trained_by == entry.first_stage and (Need.BASE in entry.needs) == bool(entry.base)
        assert set(entry.train_settings.model_fields) <= set(Params.model_fields)
        if name not in (*entry.train_settings.model_fields, "external"):  # sections of their own
            section = Params.model_fields.get(name)
            assert (set(section.annotation.model_fields) if section else set()) == set(entry.changes)


def test_reading_settings_loads_no_torch() -> None:
    code = "import sys, holofusion.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
