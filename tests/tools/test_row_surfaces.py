"""The file of a scene is found in whichever shard has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holofusion.utils.files import UserError
from tools.row_surfaces import file_of


def test_the_shard_that_has_the_scene_is_found(tmp_path: Path) -> None:
    for shard, seeds in ((0, (0, 1)), (1, (2,))):
        scenes = [{"seed": seed, "faces": 5 * seed, "file": {"unit": 1.0 + seed}} for seed in seeds]
        (tmp_path / str(shard)).mkdir()
        (tmp_path / f"{shard}/meshes.json").write_text(json.dumps({"scenes": scenes}))
    assert file_of(tmp_path, 2) == (tmp_path / "1/000002.glb", {"unit": 3.0})
    with pytest.raises(UserError, match="no surface of seed 0"):  # its scene was empty
        file_of(tmp_path, 0)
