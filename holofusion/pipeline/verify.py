"""Verify a results folder: check every artefact against its settings and what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from holofusion.pipeline.photographs import changed_photographs
from holofusion.pipeline.provenance import Digests, code_hash, provenance_of
from holofusion.pipeline.registry import FLOOR
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.runs import real_name
from holofusion.pipeline.scopes import ONCE
from holofusion.pipeline.steps import STEPS, Step
from holofusion.utils.files import DAMAGED, UserError


@dataclass
class Artefact:
    """Something that a step made. name: its path below the results. fault: why it is not to be trusted, or None.

    inputs: what it was made from, and what that was made from, by name, as recorded; None if nothing is recorded.
    other_code: the code of its step has changed since.
    """

    step: Step
    name: str
    path: Path
    config: Path
    category: str | None = None
    benchmark: Path | None = None
    inputs: dict[str, dict[str, str]] | None = None
    fault: str | None = None
    other_code: bool = False


def artefacts_of(results: Path) -> Iterator[Artefact]:
    """Everything that is there and that the present settings ask for, in the order of the steps."""
    for step in STEPS.values():
        for config in sorted((results / "config" / step.name).glob("*.yaml")):
            for path in sorted(results.glob(step.makes.format(name=config.stem, shard="*"))):
                if (path.name.isdigit() or not step.sharded) and step.finished(path):
                    yield Artefact(step, path.relative_to(results).as_posix(), path, config)


def examine(results: Path, memory: Path | None = None) -> dict[str, Artefact]:
    """Every artefact by name, each with its fault if it has one. Raises UserError for a folder without settings.

    memory: file in which digests are kept; with it, only files that have changed by their times are read.
    """
    if not (results / "config").is_dir():
        raise UserError(f"{results}: no results (expected {results}/config)")
    digests, by_name = Digests(memory), {}
    for artefact in artefacts_of(results):
        by_name[artefact.name] = artefact
        resolved = load_step(artefact.config)
        artefact.category = resolved.category
        artefact.benchmark = artefact.step.trace_of(results / "benchmarks", resolved.name, artefact.path.name, ".tsv")
        try:
            facts = provenance_of(artefact.path)
            if facts is None:
                artefact.fault = "nothing is recorded of how it was made; delete it, and it is made again"
                continue
            artefact.inputs = facts["inputs"]
            artefact.other_code = facts["code"] != code_hash(artefact.step, resolved.method)
            if digests.of(artefact.path) != facts["content"]:
                artefact.fault = "not as it was made: edited or damaged"
            elif facts["config_hash"] != resolved.hash:
                artefact.fault = f"made with other settings than {artefact.config} holds now"
            else:
                artefact.fault = changed_photographs(artefact.path, facts["inputs"], digests.of)
        except (UserError, *DAMAGED) as error:  # a damaged JSON file
            artefact.inputs, artefact.fault = {}, f"damaged ({error})"
    for artefact in in_order(by_name):
        rests_on_a_fault = any(by_name[name].fault for name in artefact.inputs or () if name in by_name)
        if not artefact.fault and not rests_on_a_fault:
            found_odd = (_at_odds(name, facts, results, digests) for name, facts in (artefact.inputs or {}).items())
            artefact.fault = next(filter(None, found_odd), None)
    if memory:
        digests.remember()
    return by_name


def _at_odds(name: str, facts: dict[str, str], results: Path, digests: Digests) -> str | None:
    """What speaks against an input as it was recorded: it is another now; or, where it is gone, its settings are."""
    path = results / name
    if path.exists():
        same = digests.of_input(path, results) == facts["content"]
        return None if same else f"made from another {name} than is there now"
    config = results / "config" / facts.get("step", "") / f"{facts.get('name')}.yaml"
    if config.is_file() and load_step(config).hash != facts["config_hash"]:
        return f"made from {name} with other settings than {config} holds now"
    return None


def resting_on(faulty: set[str], by_name: dict[str, Artefact]) -> list[str]:
    """Names of all other artefacts that were made from the faulty ones."""
    return sorted(
        name for name, artefact in by_name.items() if name not in faulty and faulty & set(artefact.inputs or ())
    )


def require_verified(results: Path, but: str | None = None) -> dict[str, Artefact]:
    """Every artefact by name, but those of the step `but`.

    Raises UserError with a line for each fault, and for what rests on it.
    """
    by_name = {name: artefact for name, artefact in examine(results).items() if artefact.step.name != but}
    lines = [f"{artefact.path}: {artefact.fault}" for artefact in by_name.values() if artefact.fault]
    if not lines:
        return by_name
    resting = resting_on({name for name, artefact in by_name.items() if artefact.fault}, by_name)
    if resting:
        lines.append(f"{len(resting)} artefacts rest on these: {', '.join(resting)}")
    raise UserError("\n".join([*lines, "run the workflow again: it makes anew what is named here"]))


def contents(results: Path, stage: str) -> dict[str, str]:
    """Name of every artefact of a stage -> hash of its content as recorded: what the next stage depends on."""
    hashes: dict[str, str] = {}
    for artefact in artefacts_of(results):
        if artefact.step.stage == stage:
            hashes[artefact.name] = (provenance_of(artefact.path) or {}).get("content", "")
    return dict(sorted(hashes.items()))


def needs_of(artefact: Artefact, by_name: dict[str, Artefact]) -> list[str]:
    """What the workflow makes before an artefact: its inputs; for the tables everything; for scores, those of the floor."""
    if artefact.step.scope is ONCE:
        return [name for name in by_name if name != artefact.name]
    needs = [name for name in artefact.inputs or () if name in by_name]
    if artefact.step.after_floor and artefact.category:
        floor = STEPS["reference"].makes.format(name=real_name(FLOOR, artefact.category))
        needs += [floor] if floor in by_name and floor != artefact.name else []
    return needs


def in_order(by_name: dict[str, Artefact]) -> list[Artefact]:
    """All artefacts, each after what it needs."""
    graph = {artefact.name: needs_of(artefact, by_name) for artefact in by_name.values()}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]
