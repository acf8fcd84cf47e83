"""The benchmark for a GPU, tiny and without one: on the CPU and on the simulated accelerator. And the page it makes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_page
from benchmarks.accelerator import DEVICE, accelerator, rasteriser_on_host
from tools import work

CPU = torch.device("cpu")
FIGURES = {"loss": {"cpu": 2.0, "fp32": 2.001, "bf16": 2.1}, "flop": 4 * 10**12, "eager": 100.0, "peak": 5 * 10**9}
FOUND = {
    "device": "Card",
    "torch": "2",
    "preset": "paper",
    "matrices": 8192,
    "seconds": 300,
    "tflops": {"bfloat16": 80.0, "float32": 20.0},
    "trainings": {
        "holofusion": {**FIGURES, "networks": 2, "compiled": 50.0, "graphs": {"failed": "no time left"}},
        "get3d": {"failed": "ImportError: no PyTorch3D"},
    },
}


@pytest.mark.parametrize("name", gpu.TRAININGS)
def test_a_step_has_the_same_loss_on_the_simulated_gpu(name: str) -> None:
    expected = work.first_loss(*gpu.make(name, "smoke", "fp32", CPU))()
    with accelerator(), rasteriser_on_host():
        method, params = gpu.make(name, "smoke", "fp32", DEVICE)
        found = work.first_loss(method, params, DEVICE)().detach().cpu()
        work.training(method, params, DEVICE)()
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)


def test_everything_is_measured_and_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "TRAININGS", ("encode", "pigan", "unknown"))
    monkeypatch.setattr(gpu, "SIDE", 64)
    monkeypatch.setattr(gpu, "compiled", lambda name, preset, device, mode: float(len(mode)))  # compiling takes minutes
    monkeypatch.setattr(gpu.seconds_of, "__defaults__", (0.01,))
    kept: list[dict] = []
    found = json.loads(json.dumps(gpu.measure("smoke", CPU, keep=kept.append)))
    assert (
        len(kept) == 5 and kept[-1]["trainings"] == found["trainings"]
    )  # a run that is cut off leaves the last of these
    encode, pigan = (found["trainings"][name] for name in ("encode", "pigan"))
    assert encode["loss"]["fp32"] == encode["loss"]["cpu"] and encode["flop"] > 0 and encode["eager"] > 0
    assert (encode["compiled"], encode["graphs"]) == (7.0, 15.0)
    assert pigan["networks"] == 0 and "compiled" not in pigan
    assert found["trainings"]["unknown"]["failed"].startswith("KeyError")
    assert "| `encode` |" in gpu_page.tables(found) and "- `unknown`, step: KeyError" in gpu_page.tables(found)
    late = gpu.measure("smoke", CPU, limit=-1.0)
    assert {figures["failed"] for figures in late["trainings"].values()} == {"no time left"}


def test_the_table_says_what_was_measured() -> None:
    text = gpu_page.tables(FOUND)
    row = next(line for line in text.splitlines() if line.startswith("| `holofusion`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:10] == ["2", "0.0005", "**0.05**", "4000", "100.0", "50 %", "50.0", "–", "5.0"]
    assert float(cells[10]) > 1  # from docs/scale.json
    assert text.splitlines()[-2:] == [
        "- `holofusion`, graphs: no time left",
        "- `get3d`, step: ImportError: no PyTorch3D",
    ]


def test_the_page_is_of_what_was_measured_if_anything_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = gpu_page.PAGE.read_text()
    assert gpu_page.filled(page) == page
    for name in ("PAGE", "FOUND"):
        monkeypatch.setattr(gpu_page, name, tmp_path / getattr(gpu_page, name).name)
    gpu_page.PAGE.write_text(page)
    (tmp_path / "measured.json").write_text(json.dumps(FOUND))
    gpu_page.fill(tmp_path / "measured.json")
    assert "| `holofusion` | 2 |" in gpu_page.PAGE.read_text() and gpu_page.NOT_RUN not in gpu_page.PAGE.read_text()


def test_without_a_gpu_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", "--out", str(tmp_path / "out.json")])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 2
    assert capsys.readouterr().err == "error: no CUDA device; docs/gpu.md stays as it is\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        ("{", "not valid JSON"),
        ('{"device": "Card"}', "expected what `python -m benchmarks.gpu --out FILE` wrote"),
    ],
)
def test_a_file_that_was_not_measured_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    monkeypatch.setattr(gpu_page, "FOUND", tmp_path / "gpu.json")
    monkeypatch.setattr(gpu_page, "PAGE", tmp_path / "gpu.md")
    given = tmp_path / "measured.json"
    if content is not None:
        given.write_text(content)
    monkeypatch.setattr("sys.argv", ["gpu", "--fill", str(given)])
    assert gpu.main() == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {given}: ") and said in line and line.count("\n") == 1
    assert not gpu_page.FOUND.exists() and not gpu_page.PAGE.exists()


def test_the_script_writes_where_it_was_called(tmp_path: Path, repository: Path) -> None:
    """In place of Python something that notes its arguments."""
    note = tmp_path / "python"
    note.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/said"\n')
    note.chmod(0o755)
    (tmp_path / "a folder").mkdir()
    for given in ("found.json", "/elsewhere/found.json"):
        command = ["sh", str(repository / "benchmarks/gpu.sh"), given]
        subprocess.run(command, cwd=tmp_path / "a folder", env=os.environ | {"PYTHON": str(note)}, check=True)
    paths = [line.split(" ", 3)[3] for line in (tmp_path / "said").read_text().splitlines()]
    assert paths == [f"{tmp_path}/a folder/found.json"] * 2 + ["/elsewhere/found.json"] * 2
