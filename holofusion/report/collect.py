"""Read a results folder once: metrics (checked against their settings), views, models, logs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holofusion.evaluation.entries import Entry
from holofusion.evaluation.ladder import Ladder
from holofusion.pipeline.paths import scene_name
from holofusion.pipeline.registry import FLOOR, REAL_ROWS, ROWS, Source, label_of
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.runs import Run, real_name
from holofusion.pipeline.steps import STEPS
from holofusion.utils.files import UserError, read_json, reading

UNMEASURED = {
    "evaluate": "not scored",
    "consistency": "view consistency not scored",
    "geometry": "surfaces not scored",
    "memorisation": "sources not counted",
    "reference": "not scored",
    "geometry_floor": "surfaces not scored",
    "curve": "not followed through its training",
}


@dataclass(frozen=True)
class Scene:
    """The rendered views of one sample: files in the order of their cameras, and camera entries alongside."""

    seed: int
    views: list[Path]
    cameras: list[dict[str, Any]]
    turntable: list[Path]


@dataclass(frozen=True)
class RunResults:
    """One method on one category and seed, with whatever its steps have left behind; None or empty where absent.

    base: model.json of the training that its own takes over.
    """

    method: str
    category: str
    seed: int
    results: Path
    metrics: dict[str, Any] | None
    consistency: dict[str, Any] | None
    geometry: dict[str, Any] | None
    memorisation: dict[str, Any] | None
    scenes: dict[int, Scene]
    costs: list[dict[str, Any]]
    model: dict[str, Any] | None
    warmup: dict[str, Any] | None
    base: dict[str, Any] | None = None

    @property
    def entries(self) -> list[Entry]:
        """Every number measured for this run, of whichever step."""
        return [
            entry
            for scores in (self.metrics, self.consistency, self.geometry, self.memorisation)
            if scores
            for entry in scores["entries"]
        ]

    @property
    def meshes(self) -> dict[int, Path]:
        """Sample seed -> surface, of the scenes that have one: the file with a texture, or that without."""
        surfaces: dict[int, Path] = {}
        for listing in sorted((self.results / "meshes" / self.name).glob("*/meshes.json")):
            with reading(listing):
                for scene in read_json(listing)["scenes"]:
                    stem = listing.parent / scene_name(scene["seed"])
                    files = [path for kind in (".glb", ".ply") if (path := stem.with_suffix(kind)).is_file()]
                    surfaces |= {int(scene["seed"]): path for path in files[:1]}
        return dict(sorted(surfaces.items()))

    @property
    def identity(self) -> Run:
        """Method, category and seed alone, which know the names of the runs behind this one."""
        return Run(self.method, self.category, self.seed)

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def label(self) -> str:
        return label_of(self.method)

    @property
    def training_run(self) -> str:
        """Name of the run whose weights this one uses: its own, or the method's it shares them with."""
        return self.identity.training.name


@dataclass(frozen=True)
class Curve:
    """Kernel distance against training time of one training, shown by the row that its scenes come straight from.

    points as `holofusion curve` writes them; warmup_seconds is spent before the first.
    """

    method: str
    category: str
    seed: int
    points: list[dict[str, Any]]
    warmup_seconds: float


@dataclass(frozen=True)
class Results:
    """All runs in the order methods are listed, the rows of real images, and what was expected but not found.

    real: category -> row -> the scores of the step `reference`, with the entries of `geometry` added to the floor's.
    """

    folder: Path
    runs: list[RunResults]
    real: dict[str, dict[str, dict[str, Any]]]
    curves: list[Curve]
    missing: list[str] = field(default_factory=list)

    def of(self, category: str, seed: int) -> list[RunResults]:
        return [run for run in self.runs if (run.category, run.seed) == (category, seed)]


def read_results(folder: Path, methods: list[str], categories: list[str], seeds: list[int]) -> Results:
    """Collect everything below `folder`. Raises UserError if a metrics file was made with other settings than now in force."""
    results = Results(folder, [], {}, [])
    for category in categories:
        results.real[category] = _real(folder, category, results.missing)
        for seed in seeds:
            rows = [Run(method, category, seed) for method in methods]
            results.runs.extend(_run(folder, run, results.missing) for run in rows)
            for run in dict.fromkeys(run.coarse for run in rows if _generated(run)):
                scored = _scored(folder, "curve", run.name, results.missing)
                if scored:
                    seconds = (_warmup(folder, run) or {}).get("seconds", 0.0)
                    results.curves.append(Curve(run.method, category, seed, scored["points"], seconds))
    return results


def _decoded(run: Run) -> bool:
    """Whether its scenes are decoded codes, whose sources are counted."""
    return ROWS[run.method].over_codes and ROWS[run.method].source == Source.NOISE


def _generated(run: Run) -> bool:
    """Whether the scenes of a run are made here."""
    return ROWS[run.method].source != Source.IMAGES


def _real(folder: Path, category: str, missing: list[str]) -> dict[str, dict[str, Any]]:
    """The scores of the rows of real images: of the floor, and of those that this category has settings for."""
    rows = {}
    for row in REAL_ROWS:
        if row == FLOOR or (folder / "config" / "reference" / f"{real_name(row, category)}.yaml").is_file():
            scored = _scored(folder, "reference", real_name(row, category), missing)
            if scored is not None:
                rows[row] = scored
    name = real_name(FLOOR, category)  # true surfaces are known for embedded objects only
    if FLOOR in rows and (folder / "config" / "geometry_floor" / f"{name}.yaml").is_file():
        rows[FLOOR]["entries"] += (_scored(folder, "geometry_floor", name, missing) or {"entries": []})["entries"]
    return rows


def _run(folder: Path, run: Run, missing: list[str]) -> RunResults:
    name = run.name
    scenes, costs = _views(folder / "views" / name)
    if not scenes:
        missing.append(f"{name}: no rendered views")
    elif _generated(run) and not any(scene.turntable for scene in scenes.values()):
        missing.append(f"{name}: no turntable")
    model = _optional_json(folder / "runs" / run.training.name / "model.json")
    if model is None and _generated(run):
        missing.append(f"{name}: no trained model")
    return RunResults(
        method=run.method,
        category=run.category,
        seed=run.seed,
        results=folder,
        metrics=_scored(folder, "evaluate", name, missing),
        consistency=_scored(folder, "consistency", name, missing),
        geometry=_scored(folder, "geometry", name, missing) if _generated(run) else None,
        memorisation=_scored(folder, "memorisation", name, missing) if _decoded(run) else None,
        scenes=scenes,
        costs=costs,
        model=model,
        warmup=_warmup(folder, run.first_stage),
        base=_optional_json(folder / "runs" / run.base.name / "model.json") if run.base else None,
    )


def _warmup(folder: Path, run: Run) -> dict[str, Any] | None:
    """What is said of the work before the training: of the warm-up, or of the codes; None where there is neither."""
    if run.codes:
        return _optional_json(folder / "codes" / run.codes / "model.json")
    return _optional_json(folder / "warmup" / run.warmup / "model.json") if run.warmup else None


def _scored(folder: Path, step: str, name: str, missing: list[str]) -> dict[str, Any] | None:
    """The metrics file that a step wrote for `name`, or None with a note.

    Raises UserError if its settings are gone or have another hash.
    """
    path = STEPS[step].path(folder, name)
    if not path.is_file():
        missing.append(f"{name}: {UNMEASURED[step]}")
        return None
    metrics = read_json(path)
    settings = folder / "config" / step / f"{name}.yaml"
    with reading(path, f"run {step} again"):
        _check_hash(path, metrics["config_hash"], settings, step)
        if step == "curve":
            _check_numbers(metrics["points"], "steps", "seconds", "value")
        else:
            _check_numbers(metrics["entries"], "value")
            [entry["metric"] + (entry["reference"] or "") for entry in metrics["entries"]]
    return metrics


def _check_numbers(rows: list[dict[str, Any]], *keys: str) -> None:
    """Raises TypeError or ValueError unless every row holds finite numbers under these keys."""
    for row in rows:
        for key in keys:
            if not math.isfinite(row[key]):
                raise ValueError(f"{key} is {row[key]}")


def _check_hash(path: Path, config_hash: str, settings: Path, step: str) -> None:
    expected = load_step(settings).hash
    if config_hash != expected:
        raise UserError(f"{path}: made with settings {config_hash}, {settings} has {expected}; run {step} again")


def read_ladders(folder: Path, category: str) -> list[Ladder]:
    """The ladders of one category, by name of their run.

    Raises UserError for one that was made with other settings than those now in force, where these are on file.
    """
    ladders = []
    for path in sorted((folder / "metrics").glob("ladder-*.json")):
        with reading(path, "run ladder again"):
            ladder = read_json(path)
            settings = folder / "config" / "ladder" / f"{ladder['run']}.yaml"
            if settings.is_file():
                _check_hash(path, ladder["config_hash"], settings, "ladder")
            if ladder["category"] == category:
                ladders.append(ladder)
    return ladders


def _views(folder: Path) -> tuple[dict[int, Scene], list[dict[str, Any]]]:
    scenes: dict[int, Scene] = {}
    costs = []
    for listing in sorted(folder.glob("*/cameras.json")):
        content = read_json(listing)
        with reading(listing, "run render again"):
            costs.append(content.get("cost", {}))
            for entry in content["scenes"]:
                scenes[int(entry["seed"])] = Scene(
                    seed=int(entry["seed"]),
                    views=[listing.parent / view["file"] for view in entry["views"]],
                    cameras=entry["views"],
                    turntable=[listing.parent / view["file"] for view in entry.get("turntable", [])],
                )
    return dict(sorted(scenes.items())), costs


def _optional_json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


def read_log(path: Path) -> dict[str, list[float]]:
    """Columns of a `log.jsonl`: step, seconds and every loss by name; empty where the file is absent.

    A key absent from a line is NaN there. A last line cut short by a kill is left out.
    """
    if not path.is_file():
        return {}
    with reading(path, "train again"):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        keys = list(dict.fromkeys(key for line in lines for key in line))
        return {key: [float(line.get(key, "nan")) for line in lines] for key in keys}
