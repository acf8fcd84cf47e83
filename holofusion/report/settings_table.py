"""All settings behind the results in one table, from the resolved files; where runs differ, each value with its runs."""

from __future__ import annotations

from pathlib import Path

from holofusion.pipeline.registry import label_of
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.runs import CATEGORY, RUN, WARMUP, Run
from holofusion.pipeline.scopes import EACH_DISTILLED, EACH_TRAINED
from holofusion.pipeline.steps import STEPS, Step
from holofusion.report.collect import RunResults


def settings_table(folder: Path, shown: list[RunResults]) -> dict[str, dict[str, str]]:
    """Section -> key -> value in words, of every settings file the runs were made with.

    Where methods differ, the commonest value comes first and every other one names the methods that have it.
    """
    values: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run in shown:
        for path in _files(folder, run):
            for section, content in load_step(path).settings.model_dump(exclude_none=True).items():
                for key, value in (content if isinstance(content, dict) else {"": content}).items():
                    holders = values.setdefault((section, key), {}).setdefault(str(value), [])
                    if run.method not in holders:
                        holders.append(run.method)
    table: dict[str, dict[str, str]] = {}
    for (section, key), by_value in values.items():
        common, *others = sorted(by_value, key=lambda value: -len(by_value[value]))
        notes = [f"{value} for {', '.join(label_of(method) for method in by_value[value])}" for value in others]
        table.setdefault(section, {})[key] = "; ".join([common, *notes])
    return table


def _files(folder: Path, run: RunResults) -> list[Path]:
    """The settings files of the steps behind a run that exist, by step in the order of the pipeline."""
    paths = [folder / "config" / step.name / f"{name_behind(step, run.identity)}.yaml" for step in STEPS.values()]
    return [path for path in paths if path.is_file()]


def name_behind(step: Step, run: Run) -> str | None:
    """What the results of `step` are called that `run` rests on; None of those that are of no run."""
    if step.scope.pattern not in (CATEGORY, WARMUP, RUN):
        return None
    owner = {EACH_TRAINED: run.training, EACH_DISTILLED: run.first_stage}.get(step.scope, run)
    return step.scope.pattern.format(**vars(owner))
