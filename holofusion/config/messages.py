"""Turn pydantic's validation errors into one line per mistake, naming key, value and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """A hint that ends a message: the known word most like `word`, or all of them when none is alike."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    return f"did you mean '{prefix}{close[0]}'?" if close else f"valid here: {', '.join(known)}"


def explain(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """(dotted key, message) of every mistake that pydantic found in data meant for `model`."""
    return [(_dotted(mistake["loc"]), _message(mistake, model)) for mistake in error.errors()]


def _dotted(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location)


def _message(mistake: Any, model: type[BaseModel]) -> str:
    if mistake["type"] == "extra_forbidden":
        return f"unknown key; {_nearest_key(mistake['loc'], model)}"
    if mistake["type"] == "missing":
        return "missing; every key must be given (config/README.md explains them)"
    if mistake["type"] == "model_type":
        return f"{mistake['input']!r} is not a section; it should hold `key: value` lines"
    expected = mistake["msg"].removeprefix("Input ").removeprefix("Value error, ")
    if expected.startswith("List "):  # should have at least 1 item after validation, not 0
        expected = expected.removeprefix("List ").partition(" after validation")[0]
    return f"{mistake['input']!r} is not valid; it {expected}"


def _nearest_key(location: Sequence[str | int], model: type[BaseModel]) -> str:
    """The hint for an unknown key: a sibling that looks like it, or the same key in another section."""
    *parents, key = (str(part) for part in location)
    section: Any = model
    for parent in parents:
        section = section.model_fields[parent].annotation
    siblings = section.model_fields
    if not get_close_matches(key, siblings, n=1):
        for name, field in model.model_fields.items():
            if name not in parents and key in getattr(field.annotation, "model_fields", {}):
                return f"did you mean '{name}.{key}'?"
    return nearest(key, siblings, "".join(f"{parent}." for parent in parents))
