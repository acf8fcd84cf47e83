"""The workflow, run for real with a stand-in for the command: which jobs there are, and which an edit brings back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holofusion.pipeline.checks import load_params
from tests.workflow.plans import Edit, Snakemake, jobs, settings_in


@pytest.fixture(scope="session")
def finished(repository: Path, snakemake: Snakemake, tmp_path_factory: pytest.TempPathFactory, edit: Edit) -> Path:
    """A folder in which the smoke preset ran to the end, with rows of every kind but those over codes."""
    folder = settings_in(repository, tmp_path_factory.mktemp("finished") / "project")
    family = ["holofusion", "holofusion_mse", "holofusion_sds", "holodiffusion_star", "holodiffusion"]
    edit(folder, methods=[*family, "holodiffusion_nobootstrap", "pigan", "eg3d", "get3d", "sds"])
    result = snakemake(folder, "--config", "preset=smoke")
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder, file times included."""
    shutil.copytree(finished, tmp_path / "project")
    return tmp_path / "project"


ONE_FUSED_ROW = {
    "step_dataset": 2,
    "step_prepare": 2,
    "step_reference": 4,
    "step_geometry_floor": 1,
    "step_sample": 2,
    "step_hypotheses": 1,
    "step_render": 1,
    "step_mesh": 1,
    "step_evaluate": 1,
    "step_consistency": 1,
    "step_geometry": 1,
    "step_curve": 1,
    "step_report": 1,
}  # and its training, with what that starts from


def test_jobs_of_a_fresh_run(repository: Path, snakemake: Snakemake, tmp_path: Path) -> None:
    folder = settings_in(repository, tmp_path / "fresh")
    params = load_params(folder / "params.yaml")
    rows, shards = len(params.methods), params.sampling.shards
    assert jobs(snakemake(folder, "-n")) == {
        "step_dataset": 2,
        "step_prepare": 2,
        "step_reference": 4,
        "step_geometry_floor": 1,
        "step_warmup": 1,
        "step_reconstruct": 1,
        "step_encode": 1,
        "step_train": 6,
        "step_sample": rows * shards,
        "step_hypotheses": 2 * shards,  # over codes, and over features
        "step_render": rows * shards,
        "step_mesh": rows * shards,
        "step_evaluate": rows,
        "step_consistency": rows,
        "step_geometry": rows,
        "step_curve": 6,
        "step_memorisation": 3,
        "step_ladder": 1,
        "step_report": 1,
    }


def test_a_row_brings_the_steps_it_shares_with_others(
    repository: Path, snakemake: Snakemake, tmp_path: Path, edit: Edit
) -> None:
    folder = settings_in(repository, tmp_path / "one")
    edit(folder, methods=["holofusion"])
    assert jobs(snakemake(folder, "-n", "--config", "preset=smoke")) == ONE_FUSED_ROW | {
        "step_warmup": 1,
        "step_train": 1,
    }


def test_a_row_that_takes_over_a_training_is_trained_after_it(
    repository: Path, snakemake: Snakemake, tmp_path: Path, edit: Edit
) -> None:
    folder = settings_in(repository, tmp_path / "feedforward")
    edit(folder, methods=["code_fusion_feedforward"])
    options = ("--config", "preset=smoke")
    planned = snakemake(folder, "-n", "-p", *options)
    assert jobs(planned) == ONE_FUSED_ROW | {"step_reconstruct": 1, "step_encode": 1, "step_train": 2}
    base, own = (f"results/runs/{name}-hydrant-s0" for name in ("code_fusion", "code_fusion_feedforward"))
    assert f"--base {base} --processes 1 --nodes 1 --out {own} " in planned.stdout
    assert "--hypotheses results/hypotheses/code_fusion-hydrant-s0/0" in planned.stdout
    assert snakemake(folder, *options).returncode == 0
    edit(folder, **{"feedforward.ema": 0.91})
    again = jobs(snakemake(folder, "-n", *options))
    assert (again["step_train"], again["step_sample"], "step_hypotheses" in again) == (1, 1, False)


def test_pictures_made_elsewhere_become_a_row(
    repository: Path, snakemake: Snakemake, tmp_path: Path, edit: Edit
) -> None:
    folder = settings_in(repository, tmp_path / "external")
    (tmp_path / "pictures/hydrant").mkdir(parents=True)
    edit(folder, methods=["external"], **{"external.folder": str(tmp_path / "pictures")})
    assert jobs(snakemake(folder, "-n", "--config", "preset=smoke")) == {
        "step_dataset": 2,
        "step_prepare": 2,
        "step_reference": 4,
        "step_geometry_floor": 1,
        "step_import": 1,
        "step_evaluate": 1,
        "step_consistency": 1,
        "step_report": 1,
    }
    assert snakemake(folder, "--config", "preset=smoke").returncode == 0


def test_photographs_are_not_made(repository: Path, snakemake: Snakemake, tmp_path: Path) -> None:
    folder, photos = settings_in(repository, tmp_path / "project"), tmp_path / "photos"
    (photos / "apple").mkdir(parents=True)
    (photos / "apple" / "frame_annotations.jgz").touch()
    planned = snakemake(folder, "-n", "-p", "data", "--config", "preset=photos", CO3DV2_DATASET_ROOT=str(photos))
    assert jobs(planned) == {"step_prepare": 1, "data": 1}
    assert f"--dataset {photos} --out results/data/apple" in planned.stdout


def test_photographs_are_downloaded_only_where_a_release_is_named(
    repository: Path, snakemake: Snakemake, tmp_path: Path, edit: Edit
) -> None:
    folder, photos = settings_in(repository, tmp_path / "project"), tmp_path / "photos"
    edit(folder, "config/photos.yaml", **{"download.release": "singlesequence"})
    options = ("data", "--config", "preset=photos")
    planned = snakemake(folder, "-n", "-p", *options, CO3DV2_DATASET_ROOT=str(photos))
    assert jobs(planned) == {"step_download": 1, "step_prepare": 1, "data": 1}
    assert f"download --config results/config/download/apple.yaml --root {photos} --out" in planned.stdout
    assert snakemake(folder, *options, CO3DV2_DATASET_ROOT=str(photos)).returncode == 0
    edit(folder, "config/photos.yaml", **{"dataset.context": 0.2})
    assert jobs(snakemake(folder, "-n", *options, CO3DV2_DATASET_ROOT=str(photos))) == {"step_prepare": 1, "data": 1}


@pytest.mark.parametrize("target", ["data", "train", "sample", "evaluate", "report"])
def test_targets(project: Path, snakemake: Snakemake, target: str) -> None:
    assert set(jobs(snakemake(project, "-n", target, "--config", "preset=smoke"))) <= {target}


def test_a_finished_run_stays_finished(project: Path, snakemake: Snakemake) -> None:
    with open(project / "params.yaml", "a") as file:
        file.write("# a comment\n")
    assert jobs(snakemake(project, "-n", "--config", "preset=smoke")) == {}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "holofusion_mse.distillation.top_k",
            91,
            {
                "step_sample": 1,
                "step_render": 1,
                "step_mesh": 1,
                "step_evaluate": 1,
                "step_consistency": 1,
                "step_geometry": 1,
                "step_report": 1,
            },
        ),
        (
            "volume.density_scale",
            91.0,
            {
                "step_warmup": 1,
                "step_train": 6,
                "step_sample": 10,
                "step_hypotheses": 1,
                "step_render": 10,
                "step_mesh": 10,
                "step_evaluate": 10,
                "step_consistency": 10,
                "step_geometry": 10,
                "step_curve": 6,
                "step_report": 1,
            },
        ),
        (
            "evaluation.inception_weights",
            "file",
            {"step_reference": 4, "step_evaluate": 10, "step_geometry": 10, "step_curve": 6, "step_report": 1},
        ),
        ("consistency.learning_rate", 0.91, {"step_consistency": 10, "step_geometry": 10, "step_report": 1}),
        ("mesh.level", 9.1, {"step_mesh": 10, "step_geometry": 10, "step_report": 1}),
        (
            "pigan.learning_rate",
            0.91,
            {
                "step_train": 1,
                "step_sample": 1,
                "step_render": 1,
                "step_mesh": 1,
                "step_evaluate": 1,
                "step_consistency": 1,
                "step_geometry": 1,
                "step_curve": 1,
                "step_report": 1,
            },
        ),
        (
            "holodiffusion_nobootstrap.training.ema",
            0.91,
            {
                "step_train": 1,
                "step_sample": 1,
                "step_render": 1,
                "step_mesh": 1,
                "step_evaluate": 1,
                "step_consistency": 1,
                "step_geometry": 1,
                "step_curve": 1,
                "step_report": 1,
            },
        ),
    ],
)
def test_an_edit_brings_back_what_reads_it(
    project: Path, snakemake: Snakemake, edit: Edit, key: str, value: object, expected: dict[str, int]
) -> None:
    edit(project, **{key: value})
    planned = snakemake(project, "-n", "--config", "preset=smoke")
    assert jobs(planned) == expected
    (project / "calls.txt").unlink()
    assert snakemake(project, "--config", "preset=smoke").returncode == 0
    if key.startswith("holofusion_mse"):
        calls = (project / "calls.txt").read_text().splitlines()
        verbs = [call.split()[0] for call in calls]
        assert sorted(verbs) == ["consistency", "evaluate", "geometry", "mesh", "render", "report", "sample"]
        assert verbs[-1] == "report" and all("holofusion_mse-hydrant-s0" in call for call in calls[:-1])
    assert jobs(snakemake(project, "-n", "--config", "preset=smoke")) == {}


def test_mistakes_stop_before_any_job(project: Path, snakemake: Snakemake, edit: Edit) -> None:
    edit(project, **{"training.lerning_rate": 1.0})
    result = snakemake(project, "--config", "preset=smoke")
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert errors == ["error: params.yaml: training.lerning_rate: unknown key; did you mean 'training.learning_rate'?"]


def test_results_of_another_preset_are_refused(project: Path, snakemake: Snakemake) -> None:
    (project / "results" / "preset.json").write_text('{"preset": "mini"}\n')
    result = snakemake(project, "--config", "preset=smoke")
    assert result.returncode == 2
    assert "error: results/ holds a 'mini' run, not 'smoke'; move it away, or pass RESULTS=" in result.stderr
    planned = snakemake(project, "-n", "--config", "preset=smoke", "results=other")
    assert jobs(planned)["step_report"] == 1


def test_training_state_outlives_a_failure(repository: Path, snakemake: Snakemake, tmp_path: Path) -> None:
    folder = settings_in(repository, tmp_path / "failing")
    result = snakemake(folder, "train", "--config", "preset=smoke", STUB_FAIL="warmup")
    assert result.returncode == 1
    state = folder / "results" / "warmup" / "hydrant-s0" / "state" / "kept"
    assert state.exists() and not (state.parent.parent / "model.safetensors").exists()
    assert (folder / "results" / "logs" / "warmup" / "hydrant-s0.log").read_text() == "warmup\n"
    assert snakemake(folder, "train", "--config", "preset=smoke").returncode == 0
    assert state.exists() and (state.parent.parent / "model.safetensors").exists()


def test_leftover_shards_are_not_scored(project: Path, snakemake: Snakemake, edit: Edit) -> None:
    leftover = project / "results" / "views" / "holofusion-hydrant-s0" / "1"
    leftover.mkdir()
    edit(project, "config/smoke.yaml", **{"report.sample_columns": 91})
    assert jobs(snakemake(project, "-n", "--config", "preset=smoke")) == {"step_report": 1}
    assert leftover.exists(), "a dry run changes nothing"
    assert snakemake(project, "--config", "preset=smoke").returncode == 0
    assert not leftover.exists()


def test_formatting(repository: Path) -> None:
    snakefmt = Path(sys.executable).parent / "snakefmt"
    result = subprocess.run([snakefmt, "--check", repository / "workflow"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
