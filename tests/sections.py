"""Sections of params.yaml for tests: those of the smoke preset, with some keys changed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from holofusion.config.params import Params
from holofusion.pipeline.checks import load_params

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"


@cache
def smoke() -> Params:
    return load_params(PARAMS, "smoke")


def sections(**changes: dict[str, Any]) -> dict[str, Any]:
    """All sections by name, checked; changes: keys by section, as in volume={"resolution": 8}."""
    return {
        name: type(section).model_validate(section.model_dump() | changes[name]) if name in changes else section
        for name, section in smoke()
    }
