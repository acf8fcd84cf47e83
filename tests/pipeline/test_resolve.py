"""Resolved settings, a file per step and run: what each holds, and when it changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.job import Resolved
from holofusion.pipeline.resolve import discard_shards, load_step, write_resolved
from holofusion.utils.files import UserError

Edit = Callable[..., None]
FROM_NOISE = ("code_fusion_coarse", "local_estimate", "gaussian", "holodiffusion", "pigan", "eg3d")


def resolved_files(project: Path, preset: str = "mini") -> dict[str, str]:
    write_resolved(load_params(project / "params.yaml", preset), project / "results")
    folder = project / "results" / "config"
    return {str(path.relative_to(folder).with_suffix("")): path.read_text() for path in folder.rglob("*.yaml")}


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("code_fusion_mse.distillation.top_k", {"sample/code_fusion_mse"}),
        (
            "distillation.top_k",
            {f"sample/code_fusion{kind}" for kind in ("", "_mse", "_sds", "_mesh", "_mesh_mse")}
            | {"sample/holofusion", "ladder/code_fusion"},
        ),
        (
            "over_codes.distillation.samples",
            {f"sample/code_fusion{kind}" for kind in ("", "_mse", "_sds", "_mesh", "_mesh_mse")}
            | {"ladder/code_fusion"},
        ),
        (
            "denoiser.noise_steps",
            {"train/holofusion", "sample/holodiffusion", "curve/holodiffusion"},
        ),
        ("curve.views", {f"curve/{name}" for name in FROM_NOISE}),
        ("training.steps", {"train/holofusion"}),
        ("synthetic.size", {"dataset/hydrant", "dataset/teddybear"}),
        ("fast.hypotheses.views", {"hypotheses/holofusion"}),
        ("hypotheses.views", set()),  # of the full recipe
        ("report.sample_columns", {"report/report"}),
        ("threads.sample", set()),
    ],
)
def test_editing_a_key_changes_only_the_steps_that_read_it(
    project: Path, edit: Edit, key: str, changed: set[str]
) -> None:
    before = resolved_files(project)
    stamps = {path: path.stat().st_mtime_ns for path in (project / "results").rglob("*.yaml")}
    edit(project, **{key: 91})
    after = resolved_files(project)

    read = {name for name in after if _read_part(after[name]) != _read_part(before[name])}
    assert {name.removesuffix("-hydrant-s0") for name in read} == changed
    rewritten = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert len(rewritten) == len(changed)


def _read_part(text: str) -> str:
    """Of a resolved file what its step reads: not what a training hands on to sampling."""
    return text.partition("\nfurther:")[0]


def test_resolved_settings_hold_what_the_step_reads(project: Path, edit: Edit) -> None:
    edit(
        project,
        methods=["code_fusion_sds", "holofusion", "holodiffusion_nobootstrap"],
        **{"distillation.top_k": 3, "training.bootstrap": 0.25, "holodiffusion_nobootstrap.training.bootstrap": 0.0},
    )
    files = resolved_files(project)
    assert {name.split("/")[0] for name in files} == {
        "dataset",
        "prepare",
        "warmup",
        "reconstruct",
        "encode",
        "train",
        "hypotheses",
        "sample",
        "render",
        "evaluate",
        "curve",
        "report",
        "consistency",
        "mesh",
        "geometry",
        "reference",
        "geometry_floor",
    }
    step = read(project, "sample/code_fusion_sds-hydrant-s0")
    assert (step.step, step.method, step.category, step.seed) == ("sample", "code_fusion_sds", "hydrant", 0)
    assert (step.settings.distillation.loss, step.settings.distillation.top_k) == ("sds", 3)
    assert (
        set(type(step.settings).model_fields)
        == set(step.settings.model_dump())
        == {"volume", "rendering", "sampling", "superresolution", "superresolution_sampling", "distillation"}
    )
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
    content = {
        "method": "holodiffusion",
        "category": "hydrant",
        "seed": 0,
        "settings": {
            "render": {
                "views": 12,
                "turntable_scenes": 8,
                "turntable_frames": 24,
                "consistency_scenes": 8,
                "consistency_views": 32,
            }
        },
    }
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


def test_what_differs_from_the_default_is_listed_and_stale_files_go(project: Path, edit: Edit) -> None:
    default, folder = load_params(project / "params.yaml"), project / "results"
    write_resolved(default, folder, default)
    assert json.loads((folder / "config/changed.json").read_text()) == {}
    stale = folder / "config/reference/real_other-hydrant.yaml"
    assert stale.is_file()
    edit(project, **{"evaluation.other_category": None, "sampling.scenes": 20})
    write_resolved(load_params(project / "params.yaml"), folder, default)
    assert json.loads((folder / "config/changed.json").read_text()) == {
        "evaluation.other_category": {"default": "teddybear", "value": None},
        "sampling.scenes": {"default": 16, "value": 20},
    }
    assert not stale.exists() and (folder / "config/reference/real_floor-hydrant.yaml").is_file()
