"""All settings behind the results in one table, from the resolved files; where runs differ, each value with its runs."""

from __future__ import annotations

from pathlib import Path

from holofusion.pipeline.resolve import load_step
from holofusion.report.collect import Run
from holofusion.report.paper import label_of

STEPS = (
    "dataset",
    "prepare",
    "warmup",
    "train",
    "hypotheses",
    "sample",
    "render",
    "mesh",
    "evaluate",
    "consistency",
    "geometry",
)


def settings_table(folder: Path, runs: list[Run]) -> dict[str, dict[str, str]]:
    """Section -> key -> value in words, of every settings file the runs were made with.

    Where methods differ, the commonest value comes first and every other one names the methods that have it.
    """
    values: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run in runs:
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


def _files(folder: Path, run: Run) -> list[Path]:
    """The settings files of the steps behind a run that exist, by step in the order of the pipeline."""
    names = {"dataset": run.category, "prepare": run.category, "warmup": run.warmup_run}
    names |= dict.fromkeys(("train", "hypotheses"), run.training_run)
    paths = [folder / "config" / step / f"{names.get(step, run.name)}.yaml" for step in STEPS]
    return [path for path in paths if path.is_file()]
