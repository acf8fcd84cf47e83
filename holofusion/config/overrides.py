"""Apply to the settings what the row's own section of params.yaml changes, and what fast distillation changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holofusion.config.params import Params


def with_overrides(
    params: Params, row: str | None = None, changes: Sequence[str] = (), distilled: bool = False
) -> dict[str, Any]:
    """All settings as plain values.

    row: section of params.yaml of which the keys of `changes`, sections themselves, replace those of the sections of that
    name. distilled: whether the row's scenes are distilled, so that `fast` counts where `distillation.mode` says so.
    """
    content = params.model_dump(mode="json")
    section = (content.get(row) if row else None) or {}
    own = {name: section.get(name) for name in changes}
    mode = (own.get("distillation") or {}).get("mode") or params.distillation.mode
    for layer in (content["fast"] if distilled and mode == "fast" else {}, own):
        for name, values in layer.items():
            content[name] |= {key: value for key, value in (values or {}).items() if value is not None}
    return content
