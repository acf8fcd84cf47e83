"""Write a resolved settings file for each step of each run: every setting that the step reads, nothing else.

A rule depends on its resolved file alone, which is rewritten only when its content changes: editing one section reruns the
steps that read it, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from holofusion.config.load import as_yaml, read_yaml
from holofusion.config.messages import explain
from holofusion.config.overrides import with_overrides
from holofusion.config.params import Params
from holofusion.config.sampling import Distillation, Fast
from holofusion.pipeline.job import Resolved
from holofusion.pipeline.registry import ROWS, Source
from holofusion.pipeline.scopes import Subject
from holofusion.pipeline.steps import STEPS, Step
from holofusion.utils.files import UserError, read_json, reading, replacing, write_json

IDENTITY = ("method", "category", "seed", "settings")


def settings_for(params: Params, method: str | None, mode: str | None = None) -> dict[str, Any]:
    """All settings as plain values, with those that the row's own section, its kind and fast distillation change.

    mode: a `distillation.mode` to take, unless the row's own section names one.
    """
    if method is None:
        return with_overrides(params)
    row = ROWS[method]
    return with_overrides(params, method, row.changes, row.source == Source.HYPOTHESES, row.over_codes, mode)


def resolve(params: Params, step: Step, subject: Subject) -> dict[str, Any]:
    """The content of one resolved file."""
    content = settings_for(params, subject.method)
    settings = {section: content[section] for section in step.settings_of(subject.method).model_fields}
    identity = {
        "method": subject.method,
        "category": subject.category,
        "seed": subject.seed,
        "settings": settings,
    }
    facts = {"step": step.name, "name": step.scope.name(subject)}
    resolved = facts | {key: identity[key] for key in IDENTITY[:-1]} | {"config_hash": _hash(identity)}
    resolved["settings"] = settings
    further = {}
    for row, sections in step.further_of(subject.method).items():
        values = settings_for(params, row)
        further[row] = {section: values[section] for section in sections if values[section] != settings.get(section)}
    if further:
        resolved |= {"further": further, "fusions": fusions_of(params, str(subject.method))}
    return resolved


def fusions_of(params: Params, method: str) -> dict[str, dict[str, Any]]:
    """By `distillation.mode`, the sections that fusing the scenes of row `method` reads; empty for a row without a mode."""
    if "distillation" not in ROWS[method].sample_settings.model_fields:
        return {}
    found = {}
    for mode in get_args(Distillation.model_fields["mode"].annotation):
        values = settings_for(params, method, mode)
        found[mode] = {section: values[section] for section in Fast.model_fields}
    return found


def _hash(identity: dict[str, Any]) -> str:
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def resolved_steps(params: Params) -> Iterator[dict[str, Any]]:
    """The content of every resolved file that the rows of `params` need."""
    for step in STEPS.values():
        for subject in step.scope.subjects(params):
            yield resolve(params, step, subject)


def changed_keys(params: Params, default: Params) -> dict[str, dict[str, Any]]:
    """Dotted key -> {"default", "value"} of every setting that differs from `default`."""
    changes: dict[str, dict[str, Any]] = {}

    def walk(key: str, value: Any, base: Any) -> None:
        if isinstance(value, dict) and isinstance(base, dict):
            for name in dict.fromkeys([*value, *base]):
                walk(f"{key}.{name}".lstrip("."), value.get(name), base.get(name))
        elif value != base:
            changes[key] = {"default": base, "value": value}

    walk("", params.model_dump(mode="json"), default.model_dump(mode="json"))
    return changes


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
        text = "# Made from params.yaml and its overlay: edit those.\n" + as_yaml(content)
        if not path.is_file() or path.read_text() != text:
            _rewrite(path, text, content["config_hash"])
    for path in set((results / "config").glob("*/*.yaml")) - written:
        path.unlink()  # or a row that is no longer asked for would seem to be


def _rewrite(path: Path, text: str, config_hash: str) -> None:
    """Write a resolved file. Where only what the step does not read has changed, its time stays: nothing reruns for it."""
    before = path.stat() if path.is_file() and f"config_hash: {config_hash}\n" in path.read_text() else None
    with replacing(path) as temporary:
        temporary.write_text(text)
        if before is not None:
            os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))


def _claim(results: Path, preset: str) -> None:
    stamp = results / "preset.json"
    with reading(stamp, "delete it, if these results are yours to overwrite"):
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
    for step in STEPS.values():
        for folder in Path(results).glob(step.makes.format(name="*", shard="*")) if step.sharded else ():
            if folder.name.isdigit() and int(folder.name) >= shards:
                shutil.rmtree(folder)


def load_step(path: Path | str) -> Resolved[Any]:
    """Read a resolved file. Raises UserError when it is not one, was edited by hand, or names unknown keys."""
    path = Path(path)
    content = read_yaml(path)
    try:
        identity = {key: content[key] for key in IDENTITY}
        step, name, stated = content["step"], content["name"], content["config_hash"]
        kind = STEPS[step].settings_of(content["method"])
        computed = _hash(identity)
    except KeyError as error:
        raise UserError(f"{path}: not a settings file of a step (no {error}); expected results/config/...") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a settings file of a step ({error}); expected results/config/...") from None
    if computed != stated:
        raise UserError(f"{path}: does not match its own config_hash; edit params.yaml instead and let it be rewritten")
    try:
        settings = kind.model_validate(identity["settings"])
    except ValidationError as error:
        key, message = explain(error, kind)[0]
        raise UserError(f"{path}: {key}: {message}") from None
    facts = {key: content[key] for key in IDENTITY[:-1]}
    handed_on = {key: content.get(key, {}) for key in ("further", "fusions")}
    return Resolved(step, name, **facts, hash=stated, settings=settings, **handed_on)
