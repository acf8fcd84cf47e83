"""Generate the JSON schema of params.yaml, and config/README.md, from the classes of the settings."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from holofusion.config.params import Params
from holofusion.utils.files import replacing

SCHEMA_FILE = Path("workflow/schemas/params.schema.json")
README_FILE = Path("config/README.md")

_INTRODUCTION = """\
# Settings

Generated from `holofusion/config/params.py` by `holofusion schema`; a test fails when it is out of date.

`params.yaml` holds every setting, with the values of the preset `mini`. A file `config/<preset>.yaml` is an overlay: the
keys it names replace those of `params.yaml`, section by section; everything else stays. `make report PRESET=smoke` uses
`config/smoke.yaml`. An unknown key, a missing key or a value out of range is refused before any job starts.

Sections named like a method change settings for that row alone. They hold the changed sections' names, and in these the
changed keys: `holofusion_mse: {distillation: {loss: mse}}`.

A step reruns when a section it reads changes: editing `holofusion_mse` resamples, renders and scores that row only.
"""


def json_schema() -> str:
    """The JSON schema of params.yaml, as text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def readme() -> str:
    """config/README.md: a table of keys per section."""
    parts = [_INTRODUCTION, "## Top level\n", _table(Params, sections=False)]
    for name, field in Params.model_fields.items():
        section: Any = field.annotation
        if not _is_section(section):
            continue
        if all(_is_section(part.annotation) for part in section.model_fields.values()):
            changed = ", ".join(f"`{key}`" for key in section.model_fields)
            parts += [f"## {name}\n", f"{section.__doc__} It may hold keys of {changed}.\n"]
        else:
            parts += [f"## {name}\n", f"{section.__doc__}\n", _table(section)]
    return "\n".join(parts)


def write_generated(folder: Path) -> list[Path]:
    """Write both files below the repository's root `folder`; return their paths."""
    paths = []
    for path, text in ((SCHEMA_FILE, json_schema()), (README_FILE, readme())):
        with replacing(folder / path) as temporary:
            temporary.write_text(text)
        paths.append(folder / path)
    return paths


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _table(section: type[BaseModel], sections: bool = True) -> str:
    rows = ["| key | value | meaning |", "|---|---|---|"]
    for key, field in section.model_fields.items():
        if sections or not _is_section(field.annotation):
            rows.append(f"| `{key}` | {_values(field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _values(field: FieldInfo) -> str:
    """Type and range in words: `integer >= 1`, `mse or sds`."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType] or [field.annotation]
    for kind in (field.annotation, kinds[0]):
        if get_origin(kind) is Literal:
            null = [] if kind is field.annotation else ["null"]
            return " or ".join([*(f"`{value}`" for value in get_args(kind)), *null])
    words = {bool: "true or false", int: "integer", float: "number", str: "text"}.get(kinds[0], "list")
    if get_origin(field.annotation) is list:
        words = "list"
    or_null = " or null" if NoneType in get_args(field.annotation) else ""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "multiple of"}
    limits = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return (", ".join([f"{words} {limits[0]}", *limits[1:]]) if limits else words) + or_null
