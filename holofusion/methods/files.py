"""Open a trained run from its folder, which holds the weights, their class and all settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from holofusion.config.messages import explain
from holofusion.config.params import Params
from holofusion.config.section import Section
from holofusion.methods.base import Method, construct
from holofusion.pipeline.registry import Row, class_named
from holofusion.utils.files import UserError, read_json

CAMERAS = "evaluation_cameras.json"
"""The frozen cameras of the data, copied beside the weights: hypotheses are drawn from these."""


def read_sections(path: Path, plain: Mapping[str, Any]) -> dict[str, Section]:
    """Sections of params.yaml, checked, from their plain values. Raises UserError naming the file, key and value."""
    sections = {}
    for name, values in plain.items():
        if name not in Params.model_fields:
            raise UserError(f"{path}: settings.{name}: there is no such section")
        kind = Params.model_fields[name].annotation
        assert isinstance(kind, type) and issubclass(kind, Section)
        try:
            sections[name] = kind.model_validate(values)
        except ValidationError as error:
            key, message = explain(error, kind)[0]
            raise UserError(f"{path}: settings.{name}.{key}: {message}") from None
    return sections


def load_weights(folder: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The tensors of a run's model.safetensors; those in half precision, as models that ship have them, as float32.

    Raises UserError naming the file if it is missing or damaged.
    """
    path = folder / "model.safetensors"
    try:
        tensors = load_file(path, device=str(device))
        return {name: value.float() if value.dtype == torch.half else value for name, value in tensors.items()}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; this is not the folder of a finished training") from None
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error})") from None


def method_class(row: Row) -> type[Method]:
    """The class behind a row of the table. Raises UserError for a row that is only scored."""
    if row.model is None:
        raise UserError(f"{row.name}: nothing is trained or sampled for this row")
    return class_named(row.model)


def load_method(
    folder: Path,
    device: torch.device,
    sections: Mapping[str, Any] | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Method:
    """The trained method of a run folder, ready to sample.

    sections: in place of those in model.json of the same name, and beside them. weights: in place of model.safetensors.
    Raises UserError naming the file where the folder holds no run, or weights that are not the class's.
    """
    path = folder / "model.json"
    facts = read_json(path)
    try:
        kind, plain = class_named(facts["model"]), dict(facts["settings"])
        if not issubclass(kind, Method):
            raise TypeError(f"{facts['model']} is no method")
        method: Method = construct(kind, read_sections(path, plain) | dict(sections or {}))
    except (KeyError, TypeError, ValueError, ImportError, AttributeError) as error:
        raise UserError(f"{path}: not the facts of a training of this version ({error!r})") from None
    try:
        method.load_state_dict(weights or load_weights(folder, device))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder / 'model.safetensors'}: not the weights of {facts['model']} ({reason})") from None
    return method.to(device).eval()
