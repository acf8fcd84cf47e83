"""Apply to the settings what the row's own section of params.yaml changes, what its kind changes, and fast distillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holofusion.config.params import Params


def with_overrides(
    params: Params,
    row: str | None = None,
    changes: Sequence[str] = (),
    distilled: bool = False,
    over_codes: bool = False,
    mode: str | None = None,
) -> dict[str, Any]:
    """All settings as plain values.

    row: section of params.yaml of which the keys of `changes`, sections themselves, replace those of the sections of that
    name. distilled: whether the row's scenes are distilled, so that `fast` counts where `distillation.mode` says so.
    over_codes: whether the section of that name counts; what the row's own section says comes before it. mode: a
    `distillation.mode` to take in place of that of the settings, unless the row's own section names one.
    """
    content = params.model_dump(mode="json")
    kind = content["over_codes"] if over_codes else {}
    section = (content.get(row) if row else None) or {}
    own = {name: section.get(name) for name in changes}
    modes = [(layer.get("distillation") or {}).get("mode") for layer in (own, kind)]
    taken = modes[0] or mode or modes[1] or params.distillation.mode
    for layer in (kind, content["fast"] if distilled and taken == "fast" else {}, own):
        for name, values in layer.items():
            content[name] |= {key: value for key, value in (values or {}).items() if value is not None}
    if mode:
        content["distillation"]["mode"] = taken
    return content
