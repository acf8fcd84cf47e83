"""Configuration: params.yaml and its overlays, checked; and the resolved file of each step of each run.

A rule depends on its resolved file alone, which holds exactly the settings that the step reads and is rewritten only
when its content changes: editing one section reruns the steps that read it, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from holofusion.config.messages import explain, nearest
from holofusion.config.params import Params, Settings
from holofusion.pipeline.checks import categories_of, conflicts, real_rows, with_overrides
from holofusion.pipeline.registry import FLOOR, ROWS, Source, coarse_of, needs_warmup
from holofusion.utils.files import UserError, read_json, replacing, write_json

DATA_SEED = 0  # embedded objects, split and frozen cameras are the same for every training seed

SLICES: dict[str, tuple[str, ...]] = {
    # step: the sections it reads; `sample` differs by what a method's scenes are made from
    "dataset": ("synthetic",),
    "download": ("download",),
    "prepare": ("dataset",),
    "warmup": ("volume", "rendering", "encoder", "warmup", "parallel", "refinement"),
    "train": ("volume", "rendering", "denoiser", "training", "superresolution", "parallel"),
    "sample from noise": ("volume", "rendering", "denoiser", "sampling"),
    "sample from coarse": ("volume", "rendering", "sampling", "superresolution", "superresolution_sampling"),
    "sample from hypotheses": (
        "volume",
        "rendering",
        "sampling",
        "superresolution",
        "superresolution_sampling",
        "distillation",
    ),
    "hypotheses": ("volume", "rendering", "sampling", "superresolution", "superresolution_sampling", "hypotheses"),
    "import": ("external",),
    "render": ("render",),
    "evaluate": ("evaluation", "intervals"),
    "consistency": ("consistency", "intervals"),
    "mesh": ("mesh",),
    "geometry": ("geometry", "intervals"),
    "report": ("preset", "categories", "seeds", "methods", "report"),
}


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


def _read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping. Raises UserError naming the file, and the line where it is malformed."""
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file, _Loader)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(f"{place}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold `key: value` lines")
    return content


def load_params(path: Path | str = "params.yaml", preset: str | None = None) -> Params:
    """params.yaml, with the overlay config/<preset>.yaml beside it when `preset` names one, checked as a whole.

    Raises UserError with one line per mistake.
    """
    path = Path(path)
    content, overlay = _read_yaml(path), {}
    overlay_path = path.parent / "config" / f"{preset}.yaml"
    if preset is not None and preset != content.get("preset"):
        if not overlay_path.is_file():
            known = {str(content.get("preset")), *(file.stem for file in overlay_path.parent.glob("*.yaml"))}
            raise UserError(f"preset {preset!r}: there is no {overlay_path}; {nearest(preset, known)}")
        overlay = _read_yaml(overlay_path)
        content = _merged(content, overlay) | {"preset": preset}
    try:
        params = Params.model_validate(content)
        mistakes = list(conflicts(params))
    except ValidationError as error:
        mistakes = explain(error, Params)
    if mistakes:
        lines = [f"{overlay_path if _holds(overlay, key) else path}: {key}: {text}" for key, text in mistakes]
        raise UserError("\n".join(lines))
    return params


def _merged(base: Any, overlay: Any) -> Any:
    """Sections are merged key by key; anything else, lists included, is replaced."""
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return overlay
    return base | {key: _merged(base.get(key), value) for key, value in overlay.items()}


def _holds(content: Any, key: str) -> bool:
    """Whether nested mappings hold the dotted key (or a list at the place an index points into)."""
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            return isinstance(content, list)
        content = content[part]
    return True


@dataclass(frozen=True)
class Resolved:
    """One step's settings. method is None where the step serves all methods, category where it serves all categories;
    seed is DATA_SEED where it serves all seeds. settings holds the step's sections; the others are None.
    """

    step: str
    name: str
    method: str | None
    category: str | None
    seed: int
    hash: str
    settings: Settings


def _resolve(
    params: Params, step: str, name: str, method: str | None, category: str | None, seed: int = DATA_SEED
) -> dict[str, Any]:
    """The content of one resolved file; `method` is the one whose own section applies."""
    content = with_overrides(params, method)
    settings = {section: content[section] for section in _sections(step, method)}
    identity = {"method": method, "category": category, "seed": seed, "settings": settings}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    config_hash = hashlib.sha256(canonical.encode()).hexdigest()
    return {
        "step": step,
        "name": name,
        "method": method,
        "category": category,
        "seed": seed,
        "config_hash": config_hash,
        "settings": settings,
    }


def steps_of(method: str) -> list[tuple[str, str]]:
    """(step, method that owns it) of every step after the data and the warm-up that a row needs, in order."""
    entry = ROWS[method]
    if entry.source == Source.IMAGES:
        return [(step, method) for step in ("import", "evaluate", "consistency")]
    steps = [("train", entry.trained_by), ("sample", coarse_of(method))]
    steps += [("hypotheses", entry.trained_by)] if entry.source == Source.HYPOTHESES else []
    steps += [("curve", coarse_of(method))]
    own = ("sample", "render", "evaluate", "consistency", "mesh", "geometry")
    return steps + [(step, method) for step in own]


def _sections(step: str, method: str | None) -> tuple[str, ...]:
    """The sections of params.yaml that a step of a method reads."""
    entry = ROWS.get(method)
    if step == "curve":
        return (*_sections("sample", method), "evaluation", "intervals", "curve")
    if entry and entry.model and not entry.needs and step in ("train", "sample"):
        return (*entry.reads, "sampling" if step == "sample" else "parallel")
    return SLICES[f"sample from {entry.source}" if step == "sample" else step]


def resolved_steps(params: Params) -> Iterator[dict[str, Any]]:
    """The content of every resolved file that the rows of `params` need; some come up more than once."""
    for category in categories_of(params):
        if params.dataset.source == "synthetic":
            yield _resolve(params, "dataset", category, None, category)
        if params.download.release is not None:
            yield _resolve(params, "download", category, None, category)
        yield _resolve(params, "prepare", category, None, category)
    for category in params.categories:
        for row in real_rows(params, category):
            yield _resolve(params, "evaluate", f"{row}-{category}", None, category)
        if params.dataset.source == "synthetic":
            yield _resolve(params, "geometry", f"{FLOOR}-{category}", None, category)
        for seed in params.seeds:
            for method in params.methods:
                if needs_warmup(method):
                    yield _resolve(params, "warmup", f"{category}-s{seed}", None, category, seed)
                for step, owner in steps_of(method):
                    yield _resolve(params, step, f"{owner}-{category}-s{seed}", owner, category, seed)
    yield _resolve(params, "report", "report", None, None)


def changed_keys(params: Params, default: Params) -> dict[str, dict[str, Any]]:
    """Dotted key -> {"default", "value"} of every setting that differs from `default`."""
    found: dict[str, dict[str, Any]] = {}

    def walk(key: str, value: Any, base: Any) -> None:
        if isinstance(value, dict) and isinstance(base, dict):
            for name in dict.fromkeys([*value, *base]):
                walk(f"{key}.{name}".lstrip("."), value.get(name), base.get(name))
        elif value != base:
            found[key] = {"default": base, "value": value}

    walk("", params.model_dump(mode="json"), default.model_dump(mode="json"))
    return found


def write_resolved(params: Params, results: Path | str, default: Params | None = None) -> None:
    """Write results/config/<step>/<name>.yaml for every step, touching only files whose content changes; remove others.

    results/config/changed.json lists the settings that differ from `default`, those of params.yaml without an overlay.
    The folder is stamped with the preset. Raises UserError if it holds results of another one; those of `smoke` mean
    nothing and may be overwritten.
    """
    results = Path(results)
    _claim(results, params.preset)
    changed, path = changed_keys(params, default or params), results / "config" / "changed.json"
    if not path.is_file() or read_json(path) != changed:
        write_json(path, changed)
    written = set()
    for content in resolved_steps(params):
        path = results / "config" / content["step"] / f"{content['name']}.yaml"
        written.add(path)
        text = "# Made from params.yaml and its overlay: edit those.\n" + yaml.safe_dump(content, sort_keys=False)
        if not path.is_file() or path.read_text() != text:
            with replacing(path) as temporary:
                temporary.write_text(text)
    for path in set((results / "config").glob("*/*.yaml")) - written:
        path.unlink()  # or a row that is no longer asked for would seem to be


def _claim(results: Path, preset: str) -> None:
    stamp = results / "preset.json"
    held = read_json(stamp)["preset"] if stamp.is_file() else None
    if held == preset:
        return
    started = results.is_dir() and {path.name for path in results.iterdir() if path.name[0] != "."} - {
        "preset.json",
        "config",
        "tables",  # numbers and
        "contents",  # hashes that come with the repository
    }
    if started and held is None:
        raise UserError(f"{results}/ holds files that are not a run of this program; pass RESULTS=other-folder")
    if started and held != "smoke":
        raise UserError(
            f"{results}/ holds a {held!r} run, not {preset!r}; move it away, or pass RESULTS=other-folder "
            "(to snakemake: --config results=other-folder)"
        )
    write_json(stamp, {"preset": preset})


def discard_shards(results: Path | str, shards: int) -> None:
    """Remove shards numbered `shards` or higher: left from a run in more of them, they would be scored with the rest."""
    for kind in ("samples", "hypotheses", "views", "meshes"):
        for folder in (Path(results) / kind).glob("*/*"):
            if folder.name.isdigit() and int(folder.name) >= shards:
                shutil.rmtree(folder)


def load_step(path: Path | str) -> Resolved:
    """Read a resolved file. Raises UserError when it is not one, was edited by hand, or names unknown keys."""
    path = Path(path)
    content = _read_yaml(path)
    try:
        identity = {key: content[key] for key in ("method", "category", "seed", "settings")}
        facts = {key: content[key] for key in ("step", "name", "method", "category", "seed")}
        stated = content["config_hash"]
    except KeyError as error:
        raise UserError(f"{path}: not a settings file of a step (no {error}); expected results/config/...") from None
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    if hashlib.sha256(canonical.encode()).hexdigest() != stated:
        raise UserError(f"{path}: does not match its own config_hash; edit params.yaml instead and let it be rewritten")
    try:
        settings = Settings.model_validate(identity["settings"])
    except ValidationError as error:
        key, message = explain(error, Settings)[0]
        raise UserError(f"{path}: {key}: {message}") from None
    return Resolved(**facts, hash=stated, settings=settings)
