"""The one list of steps: their order, what each makes, where that lies, and which code makes it.

The verb of a step, its module in `holofusion/steps/`, and its folders of settings, logs and benchmarks have its name; its rule
has `step_` before it, since a stage (data, train, sample, evaluate, report) is a target of the workflow by its bare name. A
stage is what `make` and `dvc` know: some steps, by what they are for.
`docs/extending.md` says what a new step takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from holofusion.config import steps as settings
from holofusion.config.steps import StepSettings, joined
from holofusion.pipeline import scopes
from holofusion.pipeline.registry import ROWS, Source
from holofusion.pipeline.scopes import Scope

WEIGHTS = ("model.safetensors", "model.json", "provenance.json")
TABLES = ("metrics.json", "metrics.csv", "claims.csv", "curves.csv", "metrics.md", "metrics.tex", "provenance.json")


@dataclass(frozen=True)
class Step:
    """One step.

    stage: the stage it belongs to.
    scope: of what it is done once.
    makes: what it makes, below the results folder; `{name}` is one of the scope's names, `{shard}` a shard's number.
    settings: the sections that it reads, but for what differs between methods; those are
    row_settings: "train" or "sample", what the registry names for the training or the sampling of the row.
    uses_method: whether it runs the code of the row's method.
    files: what it declares of the folder it makes, the last written first, where this is not the whole folder: a job's
    declared outputs are deleted before it starts, so these alone let a killed training go on.
    also: what it makes beside that, below the results folder.
    after_floor: whether it waits for the floor's score, which leaves the features of the real images for all.
    gpu: whether it has work for a GPU.
    """

    name: str
    stage: str
    scope: Scope
    makes: str
    settings: type[StepSettings] | None = None
    row_settings: str | None = None
    uses_method: bool = False
    files: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    after_floor: bool = False
    gpu: bool = True

    @property
    def module(self) -> str:
        """The module whose `run(job)` does the work."""
        return f"holofusion.steps.{'import_views' if self.name == 'import' else self.name}"  # `import` is a keyword

    @property
    def rule(self) -> str:
        """Its rule of the workflow."""
        return f"step_{self.name}"

    @property
    def sharded(self) -> bool:
        """Whether it runs as several jobs, each for a share of the scenes."""
        return "{shard}" in self.makes

    @property
    def output(self) -> str:
        """What it makes, with the wildcards of the scope's names."""
        return self.makes.replace("{name}", self.scope.pattern)

    @property
    def config(self) -> str:
        """Its settings file below the results folder, with wildcards."""
        return f"config/{self.name}/{self.scope.pattern}.yaml"

    @property
    def trace(self) -> str:
        """Its log below results/logs, and its benchmark below results/benchmarks, without a suffix, with wildcards."""
        return f"{self.name}/{self.scope.pattern}" + ("/{shard}" if self.sharded else "")

    def path(self, results: Path, name: str, shard: object = "*") -> Path:
        """What it made for `name` (and a shard) in a results folder."""
        return results / self.makes.format(name=name, shard=shard)

    def finished(self, path: Path) -> bool:
        """Whether what it makes at `path` is complete."""
        return (path / self.files[0] if self.files else path).exists()

    def trace_of(self, folder: Path, name: str, shard: object, suffix: str) -> Path:
        """Where the log or benchmark of one job lies below `folder`."""
        return folder / self.name / (f"{name}/{shard}{suffix}" if self.sharded else f"{name}{suffix}")

    def settings_of(self, method: str | None) -> type[StepSettings]:
        """The class of its settings for a row."""
        kinds = [self.settings] if self.settings else []
        if self.row_settings and method:
            kinds.append(getattr(ROWS[method], f"{self.row_settings}_settings"))
        return joined(*kinds)

    def further_of(self, method: str | None) -> dict[str, list[str]]:
        """By row of the table made from what it makes: the sections that it hands on, so that sampling needs nothing else.

        What takes over a base can make the scenes that it fuses, too.
        """
        if self.row_settings != "train" or method is None:
            return {}
        further = {}
        for row in ROWS.values():
            fused = row.trained_by == ROWS[method].base and row.source in (Source.NOISE, Source.COARSE)
            if row.trained_by == method or fused:
                kinds: list[type[StepSettings]] = [row.sample_settings]
                if row.source == Source.HYPOTHESES:
                    kinds.append(settings.HypothesesSettings)
                further[row.name] = list(dict.fromkeys(section for kind in kinds for section in kind.model_fields))
        return further


_ALL = (
    Step("dataset", "data", scopes.EACH_EMBEDDED, "dataset/{name}", settings.DatasetSettings, gpu=False),
    Step("download", "data", scopes.EACH_DOWNLOAD, "download/{name}.json", settings.DownloadSettings, gpu=False),
    Step("prepare", "data", scopes.EACH_CATEGORY, "data/{name}", settings.PrepareSettings, gpu=False),
    Step("warmup", "train", scopes.EACH_WARMUP, "warmup/{name}", settings.WarmupSettings, files=WEIGHTS),
    Step(
        "reconstruct",
        "train",
        scopes.EACH_RECONSTRUCTED,
        "reconstructions/{name}",
        settings.ReconstructSettings,
        gpu=False,
    ),
    Step("encode", "train", scopes.EACH_CODED, "codes/{name}", settings.EncodeSettings, files=WEIGHTS),
    Step("train", "train", scopes.EACH_TRAINED, "runs/{name}", row_settings="train", uses_method=True, files=WEIGHTS),
    Step("sample", "sample", scopes.EACH_SAMPLED, "samples/{name}/{shard}", row_settings="sample", uses_method=True),
    Step(
        "hypotheses",
        "sample",
        scopes.EACH_DISTILLED,
        "hypotheses/{name}/{shard}",
        settings.HypothesesSettings,
        uses_method=True,
    ),
    Step("render", "sample", scopes.EACH_GENERATED, "views/{name}/{shard}", settings.RenderSettings, uses_method=True),
    Step("import", "sample", scopes.EACH_MADE_ELSEWHERE, "views/{name}/0", settings.ImportViewsSettings, gpu=False),
    Step("mesh", "evaluate", scopes.EACH_GENERATED, "meshes/{name}/{shard}", settings.MeshSettings, uses_method=True),
    Step("evaluate", "evaluate", scopes.EACH_RUN, "metrics/{name}.json", settings.EvaluateSettings, after_floor=True),
    Step("reference", "evaluate", scopes.EACH_REAL, "metrics/{name}.json", settings.EvaluateSettings, after_floor=True),
    Step("consistency", "evaluate", scopes.EACH_RUN, "metrics/consistency-{name}.json", settings.ConsistencySettings),
    Step(
        "geometry",
        "evaluate",
        scopes.EACH_GENERATED,
        "metrics/geometry-{name}.json",
        settings.SurfaceSettings,
        after_floor=True,
    ),
    Step(
        "geometry_floor",
        "evaluate",
        scopes.EACH_FLOOR,
        "metrics/geometry-{name}.json",
        settings.GeometrySettings,
        gpu=False,
    ),
    Step(
        "curve",
        "evaluate",
        scopes.EACH_FROM_NOISE,
        "metrics/curve-{name}.json",
        settings.CurveSettings,
        row_settings="sample",
        uses_method=True,
        after_floor=True,
    ),
    Step(
        "memorisation",
        "evaluate",
        scopes.EACH_DECODED,
        "metrics/memorisation-{name}.json",
        settings.MemorisationSettings,
        gpu=False,
    ),
    Step(
        "ladder",
        "evaluate",
        scopes.EACH_LADDERED,
        "metrics/ladder-{name}.json",
        settings.LadderSettings,
        row_settings="sample",
        uses_method=True,
        after_floor=True,
    ),
    Step(
        "report",
        "report",
        scopes.ONCE,
        "tables",
        settings.ReportSettings,
        files=TABLES,
        also=("report.html", "figures"),
        gpu=False,
    ),
)

STEPS: dict[str, Step] = {step.name: step for step in _ALL}
STAGES: tuple[str, ...] = tuple(dict.fromkeys(step.stage for step in _ALL))
