"""Read params.yaml and its overlays, and check them against the classes of the settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from holofusion.config.messages import explain, nearest
from holofusion.config.params import Params
from holofusion.utils.files import UserError

Overlay = tuple[str, Mapping[str, Any]]
"""What an overlay is called in messages, and its content."""


NO_YAML = (yaml.YAMLError, ValueError, TypeError, IndexError, OverflowError, RecursionError)
"""What its parser raises; some of it of dates that are none, and of lists that are too deep."""


class _Loader(yaml.SafeLoader):
    """Safe YAML that also reads `5e-4` as a number, and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                mark = node.value[index][0].start_mark
                raise UserError(f"{mark.name}:{mark.line + 1}: {key}: given twice in this section")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping. Raises UserError naming the file, and the line where it is malformed."""
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file, _Loader)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file") from None
    except NO_YAML as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(f"{place}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold `key: value` lines")
    return content


def as_yaml(content: Mapping[str, Any]) -> str:
    """A mapping as YAML, its keys in their order."""
    return yaml.safe_dump(content, sort_keys=False)


def read_params(
    path: Path | str = "params.yaml",
    preset: str | None = None,
    overlays: Sequence[Overlay] = (),
    conflicts: Callable[[Params], Iterable[tuple[str, str]]] = lambda params: (),
) -> Params:
    """params.yaml, with the overlay config/<preset>.yaml beside it when `preset` names one, then `overlays`, checked as a whole.

    conflicts: (dotted key, message) of what is at odds in settings that are valid each by itself.
    Raises UserError with one line per mistake, which names the file that the key is from.
    """
    path = Path(path)
    content = read_yaml(path)
    layers: list[Overlay] = []
    if preset is not None and not isinstance(preset, str):
        raise UserError(f"preset {preset!r}: should be the name of a file in {path.parent / 'config'}, without `.yaml`")
    if preset is not None and preset != content.get("preset"):
        overlay_path = path.parent / "config" / f"{preset}.yaml"
        if not overlay_path.is_file():
            known = {str(content.get("preset")), *(file.stem for file in overlay_path.parent.glob("*.yaml"))}
            raise UserError(f"preset {preset!r}: there is no {overlay_path}; {nearest(preset, known)}")
        layers.append((str(overlay_path), read_yaml(overlay_path) | {"preset": preset}))
    layers += overlays
    for _, layer in layers:
        content = _merged(content, layer)
    try:
        params = Params.model_validate(content)
        mistakes = list(conflicts(params))
    except ValidationError as error:
        mistakes = explain(error, Params)
    if mistakes:
        sources = [*reversed(layers), (str(path), {})]
        raise UserError("\n".join(f"{_source(key, sources)}: {key}: {text}" for key, text in mistakes))
    return params


def _source(key: str, sources: Sequence[Overlay]) -> str:
    """The first of the sources that holds the dotted key, else the last."""
    return next((name for name, content in sources if _holds(content, key)), sources[-1][0])


def from_command_line(value: Any) -> Any:
    """A value of Snakemake's `--config`, whose nested values come as text, with the types that YAML gives these.

    Text that is no YAML (the name of a folder may hold `: `) stays text.
    """
    if isinstance(value, Mapping):
        return {key: from_command_line(part) for key, part in value.items()}
    if isinstance(value, list):
        return [from_command_line(part) for part in value]
    if not isinstance(value, str):
        return value
    try:
        return yaml.load(value, _Loader)
    except NO_YAML:
        return value


def _merged(base: Any, overlay: Any) -> Any:
    """Sections are merged key by key; anything else, lists included, is replaced."""
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return overlay
    return base | {key: _merged(base.get(key), value) for key, value in overlay.items()}


def _holds(content: Any, key: str) -> bool:
    """Whether nested mappings hold the dotted key (or a list at the place an index points into, or the key as it is)."""
    if isinstance(content, dict) and key in content:
        return True
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            return isinstance(content, list)
        content = content[part]
    return True
