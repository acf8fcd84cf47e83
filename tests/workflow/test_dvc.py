"""The pipeline under version control, with real DVC and a stand-in for the command that records what it makes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import resolved_steps
from holofusion.pipeline.steps import STEPS
from tests.workflow.standin import stand_in

HERE = Path(__file__).parent
PRIVATE = {"PYTHONPATH", "CO3DV2_DATASET_ROOT", "SNAKEMAKE_PROFILE", "GIT_DIR"}


@pytest.fixture(scope="module")
def run(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a command line in a clone, with the stand-in for the steps, and returns what it printed."""
    commands = stand_in(tmp_path_factory.mktemp("stand_in"), (HERE / "recording_stub.py").read_text())
    environment = {key: value for key, value in os.environ.items() if key not in PRIVATE}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{commands}:{repository}",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
        "DVC_GLOBAL_CONFIG_DIR": str(commands / "none"),
        "DVC_SITE_CACHE_DIR": str(commands / "cache"),
    }

    def call(folder: Path, *arguments: object, fails: bool = False) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [str(part) for part in arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert (result.returncode != 0) == fails, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result

    return call


@pytest.fixture(scope="module")
def origin(repository: Path, run, edit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two small rows in which `dvc repro` has run, committed and pushed to a folder beside it."""
    folder = tmp_path_factory.mktemp("dvc") / "origin"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml", "Makefile", "requirements.lock", ".gitignore", ".dvcignore"):
        shutil.copy(repository / name, folder)
    for name in ("config", "workflow", ".dvc"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("tmp", "cache", "config.local"))
    edit(folder, methods=["pigan", "eg3d"], **{"sampling.shards": 1})
    run(folder, "git", "init", "-q")
    with open(folder / ".gitignore", "a") as file:
        file.write("calls.txt\n")
    with_environment(folder)
    run(folder, "dvc", "remote", "add", "--default", "store", folder.parent / "store")
    run(folder, "dvc", "repro")
    commit(run, folder, "first")
    run(folder, "make", "push")
    return folder


def with_environment(folder: Path) -> None:
    """Give a clone this environment as its .venv, which the Makefile takes as made from the lock file."""
    environment = folder / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    shutil.copy(folder / "requirements.lock", environment / "made-from.lock")


def commit(run, folder: Path, message: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "-qm", message)


@pytest.fixture
def clone(origin: Path, run, tmp_path: Path) -> Path:
    """A fresh clone, nothing pulled yet."""
    run(tmp_path, "git", "clone", "-q", origin, tmp_path / "clone")
    with_environment(tmp_path / "clone")
    return tmp_path / "clone"


def calls(folder: Path) -> set[str]:
    """What the command was called for since the last look."""
    path = folder / "calls.txt"
    found = set(path.read_text().splitlines()) if path.exists() else set()
    path.unlink(missing_ok=True)
    return found


def test_every_section_that_a_step_reads_is_a_parameter_of_its_stage(repository: Path) -> None:
    params = load_params(repository / "params.yaml")
    stages = yaml.safe_load((repository / "dvc.yaml").read_text())["stages"]
    for content in resolved_steps(params):
        known = {key.split(".")[0] for key in stages[STEPS[content["step"]].stage]["params"]}
        missing = set(content["settings"]) - known
        assert not missing, f"{content['step']} {content['name']} reads {missing}"
        changes = params.model_dump().get(content["method"]) or {}
        if any(changes[section] for section in set(changes) & set(content["settings"])):
            assert content["method"] in known, f"{content['step']} {content['name']}"


def test_the_committed_run_is_of_the_committed_settings(repository: Path) -> None:
    params = load_params(repository / "params.yaml").model_dump(mode="json", exclude_unset=True)
    for name, stage in yaml.safe_load((repository / "dvc.lock").read_text())["stages"].items():
        for key, value in stage["params"]["params.yaml"].items():
            found = params
            for part in key.split("."):
                found = found.get(part)
            assert numbers(found) == numbers(value), (
                f"dvc.lock, stage {name}: {key}; run `dvc repro`, or `dvc commit` where nothing depends on it"
            )


def numbers(value: object) -> object:
    """The same with numbers for texts such as `2e-06`, which DVC takes for texts."""
    if isinstance(value, dict):
        return {key: numbers(part) for key, part in value.items()}
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def test_plans_without_results_or_cluster(clone: Path, run) -> None:
    assert "make report" in run(clone, "dvc", "repro", "--dry").stdout
    assert "evaluate" in run(clone, "dvc", "dag").stdout


def test_pulled_results_are_in_order_and_the_same(origin: Path, clone: Path, run) -> None:
    printed = run(clone, "make", "pull").stdout
    assert "artefacts are what their settings and inputs make" in printed
    assert "Nothing to be done" in run(clone, "snakemake", "all", "-n").stdout
    for name in ("results/report.html", "results/tables/metrics.json", "results/metrics/pigan-hydrant-s0.json"):
        assert (clone / name).read_bytes() == (origin / name).read_bytes()
    began = time.monotonic()
    run(clone, "dvc", "repro")
    assert time.monotonic() - began < 5 * patience() and calls(clone) == set()


def patience() -> float:
    """By how much a bound on time is stretched on a machine that others use."""
    return 1 + os.getloadavg()[0] / (os.cpu_count() or 1)


def test_a_changed_setting_remakes_what_reads_it_after_a_pull(clone: Path, run, edit) -> None:
    """Where nothing is known of earlier runs but their files, those of old settings are not taken for new ones."""
    run(clone, "make", "pull")
    old = (clone / "results/runs/pigan-hydrant-s0/model.safetensors").read_text()
    edit(clone, **{"pigan.learning_rate": 0.123})
    run(clone, "dvc", "repro")
    assert calls(clone) == {
        "train pigan-hydrant-s0",
        "sample pigan-hydrant-s0",
        "render pigan-hydrant-s0",
        "mesh pigan-hydrant-s0",
        "evaluate pigan-hydrant-s0",
        "consistency pigan-hydrant-s0",
        "geometry pigan-hydrant-s0",
        "curve pigan-hydrant-s0",
        "report report",
    }
    assert (clone / "results/runs/pigan-hydrant-s0/model.safetensors").read_text() != old
    run(clone, "holofusion", "verify")
    assert "kernel_distance" in run(clone, "dvc", "metrics", "diff").stdout
    assert "learning_rate" in run(clone, "dvc", "params", "diff").stdout
    run(clone, "dvc", "plots", "show")


@pytest.mark.parametrize("links", ["hardlink", "symlink"])
def test_kept_outputs_with_fresh_times_are_not_taken_for_new(clone: Path, run, edit, links: str) -> None:
    """Linked from the cache, outputs kept from before look newer than the weights that were just trained."""
    run(clone, "dvc", "config", "cache.type", links)
    run(clone, "make", "pull")
    edit(clone, **{"eg3d.learning_rate": 0.123})
    run(clone, "dvc", "repro")
    assert {"train eg3d-hydrant-s0", "sample eg3d-hydrant-s0", "evaluate eg3d-hydrant-s0"} <= calls(clone)
    run(clone, "holofusion", "verify")


def test_an_old_version_comes_back_with_its_results(clone: Path, run, edit) -> None:
    run(clone, "make", "pull")
    edit(clone, **{"mesh.resolution": 32})
    run(clone, "dvc", "repro")
    commit(run, clone, "second")
    new = json.loads((clone / "results/tables/metrics.json").read_text())
    run(clone, "git", "checkout", "-q", "HEAD~1")
    run(clone, "dvc", "checkout")
    calls(clone)
    run(clone, "snakemake", "all", "--cores", "1")
    assert calls(clone) == set() and json.loads((clone / "results/tables/metrics.json").read_text()) != new


def test_an_experiment_changes_one_setting(clone: Path, run) -> None:
    run(clone, "make", "pull")
    run(clone, "dvc", "exp", "run", "-S", "geometry.points=99", "--name", "fewer-points")
    assert {call.split()[0] for call in calls(clone)} == {"geometry", "geometry_floor", "report"}
    assert "fewer-points" in run(clone, "dvc", "exp", "show", "--md").stdout


def test_a_remote_out_of_reach_loses_nothing(clone: Path, run, origin: Path) -> None:
    store = origin.parent / "store"
    away = store.with_name("away")
    store.rename(away)
    try:
        assert one_error(run(clone, "make", "pull", fails=True)).startswith("error: dvc pull: ")
    finally:
        away.rename(store)
    run(clone, "make", "pull")


def one_error(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command ends with, but for make's own."""
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert "nothing is lost" in line and "Traceback" not in result.stderr
    return line


@pytest.fixture
def small_disk(tmp_path: Path):
    """A folder that holds 40 kB, and a function that makes it larger."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"needs a small file system, which only root may mount ({mounted.stderr.strip()})")
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=80m", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def test_a_full_remote_is_filled_up_later(origin: Path, run, small_disk) -> None:
    folder, enlarge = small_disk
    run(origin, "dvc", "remote", "add", "--local", "--default", "small", folder)
    try:
        assert "No space left on device" in one_error(run(origin, "make", "push", fails=True))
        enlarge()
        run(origin, "make", "push")
        assert "Everything is up to date" in run(origin, "dvc", "push").stdout
    finally:
        (origin / ".dvc/config.local").unlink()


def test_a_full_disk_at_a_pull_loses_nothing(clone: Path, run, small_disk) -> None:
    folder, enlarge = small_disk
    run(clone, "dvc", "config", "--local", "cache.dir", folder)
    assert "No space left on device" in one_error(run(clone, "make", "pull", fails=True))
    enlarge()
    run(clone, "make", "pull")


@pytest.fixture
def ssh_server(tmp_path: Path):
    """An SSH server of this test alone: its port, and the key it lets in."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if server is None or os.geteuid() != 0:
        pytest.skip("needs sshd (Debian: openssh-server), started as root")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {
        "ListenAddress": "127.0.0.1",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
        "MaxStartups": "100",
    }
    command = [server, "-D", "-f", "/dev/null", "-p", str(port), "-h", tmp_path / "host", "-E", tmp_path / "log"]
    process = subprocess.Popen(
        [*command, *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]
    )
    yield port, tmp_path / "user"
    process.terminate()
    process.wait(10)


def test_over_ssh(origin: Path, clone: Path, run, ssh_server, tmp_path: Path) -> None:
    port, key = ssh_server
    for folder in (origin, clone):
        run(
            folder,
            "dvc",
            "remote",
            "add",
            "--local",
            "--default",
            "far",
            f"ssh://root@127.0.0.1:{port}{tmp_path}/store",
        )
        run(folder, "dvc", "remote", "modify", "--local", "far", "keyfile", key)
    try:
        run(origin, "make", "push")
        run(clone, "make", "pull")
        assert (clone / "results/report.html").read_bytes() == (origin / "results/report.html").read_bytes()
    finally:
        (origin / ".dvc/config.local").unlink()
