"""Weights made elsewhere that settings name: their content counts as that of an input."""

from __future__ import annotations

from pathlib import Path

from holofusion.cli.options import _weights_named_by
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import load_step, write_resolved
from tests.sections import PARAMS


def test_weights_named_in_settings_are_inputs_of_the_steps_that_use_them(tmp_path: Path) -> None:
    guide, network = tmp_path / "guide", tmp_path / "inception.pth"
    guide.mkdir()
    network.write_bytes(b"weights")
    overlay = {
        "methods": ["stable_dreamfusion", "pigan"],
        "stable_dreamfusion": {"folder": str(guide)},
        "evaluation": {"feature_network": "inception", "inception_weights": str(network)},
    }
    write_resolved(load_params(PARAMS, "smoke", [("mine", overlay)]), tmp_path / "results")

    def named(step: str, name: str) -> list[Path]:
        return _weights_named_by(load_step(tmp_path / f"results/config/{step}/{name}.yaml").settings)

    assert named("train", "stable_dreamfusion-hydrant-s0") == [guide.resolve()]
    assert named("evaluate", "pigan-hydrant-s0") == [network.resolve()]
    assert named("train", "pigan-hydrant-s0") == []
