"""What the operating system refuses, told in one line."""

from __future__ import annotations

import errno
import io
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from holofusion.utils.files import UserError, write_json
from holofusion.utils.log_file import Mirror
from holofusion.utils.refusals import ADVICE, in_one_line


@pytest.mark.parametrize("number", ADVICE)
def test_every_refusal_names_place_and_remedy(number: int) -> None:
    (line,) = in_one_line(OSError(number, os.strerror(number), "/some/place"))
    assert line == f"/some/place: {os.strerror(number)}; {ADVICE[number]}"


def test_a_refusal_that_is_not_listed_is_one_line_too() -> None:
    (line,) = in_one_line(OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/some/place"))
    assert line.startswith(f"/some/place: {os.strerror(errno.ELOOP)}; ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BrokenProcessPool("A process was terminated abruptly"), "a worker process was killed"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of GPU memory"),
        (RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"), "No space left on device"),
        (Exception("Error while serializing: I/O error: File too large (os error 27)"), "File too large"),
    ],
)
def test_what_libraries_say_of_one(error: Exception, words: str) -> None:
    (line,) = in_one_line(error)
    assert line.count(words) == 1 and "; " in line


@pytest.mark.parametrize(("free", "place"), [(0, "/dev/shm: "), (1 << 30, "")])
def test_shared_memory_that_is_full_is_named(free: int, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free))
    (line,) = in_one_line(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert line.startswith(f"{place}No space left on device; ") and ("--shm-size" in line) == (free == 0)
    (line,) = in_one_line(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/place"))
    assert line.startswith("/some/place: ")


def test_safetensors_tells_of_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Exception) as caught:  # noqa: B017 - whatever the library raises
        save_file({"a": torch.zeros(1)}, tmp_path / "absent" / "a.safetensors")
    (line,) = in_one_line(caught.value)
    assert os.strerror(errno.ENOENT) in line


def test_faults_of_the_program_are_not_taken_for_refusals() -> None:
    assert in_one_line(ValueError("shape (3) expected")) == []
    assert in_one_line(KeyError("a")) == []
    assert in_one_line(UserError("a: wrong\nb: wrong")) == ["a: wrong", "b: wrong"]


def test_a_real_full_disk_is_told_and_nothing_is_left() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError) as caught, open("/dev/full", "w") as file:
        file.write("x" * 100_000)
    assert in_one_line(caught.value)[0].startswith("No space left on device; ")


def test_nothing_half_written_is_left_where_a_name_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        write_json(tmp_path / ("n" * 300), {})
    assert in_one_line(caught.value)[0].endswith(ADVICE[errno.ENAMETOOLONG])
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_does_not_stop_the_step() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    terminal = io.StringIO()
    print("error: said", file=Mirror(terminal, Full()))
    assert terminal.getvalue() == "error: said\n"
