"""Whether a results folder is what its settings ask for: every artefact checked against what is recorded of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from holofusion.config import Resolved, load_step
from holofusion.files import UserError
from holofusion.methods.registry import FLOOR
from holofusion.provenance import FILE, Digests, code_hash, provenance_of

TABLES = "tables"  # the page and the figures are made with them
PLACES = {
    # step -> what it makes below results/; `*` stands for shards
    "dataset": "dataset/{name}", "prepare": "data/{name}", "warmup": "warmup/{name}", "train": "runs/{name}",
    "sample": "samples/{name}/*", "hypotheses": "hypotheses/{name}/*", "render": "views/{name}/*",
    "import": "views/{name}/*", "mesh": "meshes/{name}/*", "evaluate": "metrics/{name}.json",
    "consistency": "metrics/consistency-{name}.json", "geometry": "metrics/geometry-{name}.json",
    "curve": "metrics/curve-{name}.json", "report": TABLES,
}  # fmt: skip
RUNGS = {
    "data": ("dataset", "prepare"), "train": ("warmup", "train"), "sample": ("sample", "hypotheses", "render", "import"),
    "evaluate": ("evaluate", "consistency", "geometry", "curve", "mesh"),
}  # fmt: skip
FINISHED = {"warmup": "model.safetensors", "train": "model.safetensors", "report": "metrics.json"}
SHARDED = ("sample", "hypotheses", "render", "mesh")
DIGESTS = ".digests.json"


@dataclass
class Artefact:
    """Something that a step made. name: its path below the results. fault: why it is not to be trusted, or None.

    inputs: names of what it was made from, None if nothing is recorded. other_code: its step's code has changed since.
    """

    name: str
    path: Path
    config: Path
    category: str | None = None
    benchmark: Path | None = None
    inputs: list[str] | None = None
    fault: str | None = None
    other_code: bool = False


def artefacts_of(results: Path) -> Iterator[tuple[str, Artefact]]:
    """(step, artefact) of everything that is there and that the present settings ask for, in the order of the steps."""
    for step, place in PLACES.items():
        for config in sorted((results / "config" / step).glob("*.yaml")):
            pattern = place.format(name=config.stem)
            for path in sorted(results.glob(pattern)):
                shard = "*" not in pattern or path.name.isdigit()
                if shard and (path / FINISHED[step] if step in FINISHED else path).exists():
                    yield step, Artefact(path.relative_to(results).as_posix(), path, config)


def examine(results: Path, memory: Path | None = None) -> dict[str, Artefact]:
    """Every artefact by name, each with its fault if it has one. Raises UserError for a folder without settings.

    memory: file in which digests are kept; with it, only files that have changed by their times are read.
    """
    if not (results / "config").is_dir():
        raise UserError(f"{results}: no results (expected {results}/config)")
    digests, found, recorded = Digests(memory), {}, {}
    for step, artefact in artefacts_of(results):
        found[artefact.name] = artefact
        resolved = load_step(artefact.config)
        artefact.category = resolved.category
        artefact.benchmark = trace_of(results / "benchmarks", resolved, artefact.path.name, ".tsv")
        try:
            facts = provenance_of(artefact.path)
            if facts is None:
                artefact.fault = "nothing is recorded of how it was made"
                continue
            artefact.inputs, recorded[artefact.name] = list(facts["inputs"]), facts["inputs"]
            artefact.other_code = facts["code"] != code_hash(step, resolved.method)
            if digests.of(artefact.path) != facts["content"]:
                artefact.fault = "not as it was made: edited or damaged"
            elif facts["config_hash"] != resolved.hash:
                artefact.fault = f"made with other settings than {artefact.config} holds now"
        except (UserError, KeyError, AttributeError) as error:  # a damaged JSON file
            artefact.inputs, artefact.fault = [], f"damaged ({error})"
    for artefact in _in_order(found):
        for name, digest in recorded.get(artefact.name, {}).items():
            faulty, path = name in found and found[name].fault, results / name
            if not artefact.fault and not faulty and path.exists() and digests.of_input(path, results) != digest:
                artefact.fault = f"made from another {name} than is there now"
    if memory:
        digests.remember()
    return found


def tainted(found: dict[str, Artefact]) -> dict[str, str]:
    """Name of every artefact without a fault of its own that rests on a faulty one -> name of that one."""
    rests: dict[str, str] = {}
    for artefact in _in_order(found):
        for name in artefact.inputs or ():
            if name in found and (found[name].fault or name in rests) and not artefact.fault:
                rests.setdefault(artefact.name, rests.get(name, name))
    return rests


def require_verified(results: Path, but: str = "") -> dict[str, Artefact]:
    """Every artefact by name, but that called `but`. Raises UserError with a line for each fault, and for what rests on it."""
    found = {name: artefact for name, artefact in examine(results).items() if name != but}
    lines = [f"{artefact.path}: {artefact.fault}" for artefact in found.values() if artefact.fault]
    if not lines:
        return found
    resting = sorted(tainted(found))
    if resting:
        lines.append(f"{len(resting)} artefacts rest on these: {', '.join(resting)}")
    raise UserError("\n".join([*lines, "run the workflow again: it makes anew what is named here"]))


def trace_of(folder: Path, resolved: Resolved, shard: object, suffix: str) -> Path:
    """Where a step's log or benchmark lies below `folder`."""
    real = resolved.step == "evaluate" and resolved.method is None
    name = folder / ("reference" if real else resolved.step) / resolved.name
    return name / f"{shard}{suffix}" if resolved.step in SHARDED else name.with_name(f"{name.name}{suffix}")


def contents(results: Path, rung: str) -> dict[str, str]:
    """Name of every artefact of a rung -> hash of its content as recorded: what the next rung depends on."""
    found = {}
    for step, artefact in artefacts_of(results):
        if step in RUNGS[rung]:
            found[artefact.name] = (provenance_of(artefact.path) or {}).get("content")
    return dict(sorted(found.items()))


def settle(results: Path, remove: bool) -> list[str]:
    """Make file times agree with content, so that the workflow makes again what has a fault, and nothing else.

    What is in order is given a time after that of its inputs. What has a fault is removed, as the workflow would before
    making it anew (the saved state of a training stays); unless `remove` is false. Returns a line for each of these.
    """
    found = examine(results, results / DIGESTS)
    # without a record it is for the workflow to say whether it was finished
    faulty = [artefact for artefact in found.values() if artefact.fault and artefact.inputs is not None]
    for artefact in faulty if remove else []:
        _remove(artefact)
    for artefact in _in_order(found):
        before = [artefact.config, *(found[name].path for name in _needs(artefact, found))]
        if artefact.name == TABLES:
            before.append(results / "config" / "changed.json")
        if not artefact.fault and all(path.exists() for path in before):
            newest = max(part.stat().st_mtime for path in before for part in _timed(path))
            made = [*_timed(artefact.path), *([artefact.benchmark] if artefact.benchmark.exists() else [])]
            if newest > min(part.stat().st_mtime for part in made):
                for part in made:
                    os.utime(part)
    return [f"{artefact.path}: {artefact.fault}" for artefact in faulty]


def _remove(artefact: Artefact) -> None:
    names = {"warmup": ("model.safetensors", "model.json", FILE), "runs": ("model.safetensors", "model.json", FILE)}
    parts = names.get(artefact.name.split("/")[0])
    if parts:
        for name in parts:
            (artefact.path / name).unlink(missing_ok=True)
    elif artefact.path.is_dir():
        shutil.rmtree(artefact.path)
    else:
        artefact.path.unlink()


def _needs(artefact: Artefact, found: dict[str, Artefact]) -> list[str]:
    """What the workflow makes before an artefact: its inputs; for the tables everything; for scores, those of the floor."""
    if artefact.name == TABLES:
        return [name for name in found if name != TABLES]
    needs = [name for name in artefact.inputs or () if name in found]
    if artefact.config.parent.name in ("evaluate", "curve"):
        floor = f"metrics/{FLOOR}-{artefact.category}.json"
        needs += [floor] if floor in found and floor != artefact.name else []
    return needs


def _in_order(found: dict[str, Artefact]) -> list[Artefact]:
    """All artefacts, each after what it needs."""
    graph = {artefact.name: _needs(artefact, found) for artefact in found.values()}
    return [found[name] for name in TopologicalSorter(graph).static_order()]


def _timed(path: Path) -> list[Path]:
    """The paths whose times the workflow compares: of a folder, itself and the files in it; with the tables, the page."""
    paths = [path, path.parent / "report.html", path.parent / "figures"] if path.name == TABLES else [path]
    paths = [part for part in paths if part.exists()]
    return [*paths, *(file for part in paths if part.is_dir() for file in part.iterdir() if file.is_file())]
