"""Remotes out of reach, full, and over SSH."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest


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
