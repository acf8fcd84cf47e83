"""The stages of version control name what their steps read; the committed run is of the committed settings."""

from __future__ import annotations

from pathlib import Path

import yaml

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import resolved_steps
from holofusion.pipeline.steps import STEPS


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
