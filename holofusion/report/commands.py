"""The commands behind a row: the same verbs, in the same order, as the workflow's rules."""

from __future__ import annotations

from holofusion.pipeline.registry import ROWS, Source
from holofusion.pipeline.runs import Run
from holofusion.report.collect import RunResults


def commands(run: RunResults) -> list[str]:
    """Shell lines that repeat `run` by hand from its settings files, with results/ in the working folder.

    One line per step; of the steps that run in shards the first is shown, as `--shard 0`.
    """
    category, name, training, first = run.category, run.name, run.training_run, run.identity.first_stage
    data, model, base = f"results/data/{category}", f"results/runs/{training}", f"results/runs/{first.name}"
    source = ROWS[run.method].source
    coarse_run = Run(run.method, category, run.seed).coarse.name
    last = len(run.costs) - 1
    note = f"   # and so on to --shard {last}" if last > 0 else ""
    note_views = f"   # and so on to {last}" if last > 0 else ""

    def settings(step: str, of: str) -> str:
        return f"holofusion {step} --config results/config/{step}/{of}.yaml"

    embedded = (run.results / "config" / "dataset" / f"{category}.yaml").is_file()
    lines = [f"{settings('dataset', category)} --out results/dataset"] if embedded else []
    photographs = "results/dataset" if embedded else "$CO3DV2_DATASET_ROOT"
    lines += [
        f"{settings('prepare', category)} --dataset {photographs} --out {data}",
    ]
    seen, metrics = f"--data {data} --views results/views/{name}", "results/metrics"
    scores = [
        f"{settings('evaluate', name)} {seen} --out {metrics}/{name}.json",
        f"{settings('consistency', name)} {seen} --out {metrics}/consistency-{name}.json",
    ]
    if source == Source.IMAGES:
        pictures = f"$PICTURES/{category}"  # external.folder
        imported = f"{settings('import', name)} --data {data} --pictures {pictures} --out results/views/{name}/0"
        return [*lines, imported, *scores]
    start = ""
    if warmup := first.warmup:
        start = f" --warmup results/warmup/{warmup}"
        lines.append(f"{settings('warmup', warmup)} --data {data} --out results/warmup/{warmup}")
    if codes := first.codes:
        grids, start = f"results/reconstructions/{category}", f" --codes results/codes/{codes}"
        lines += [
            f"{settings('reconstruct', category)} --data {data} --out {grids}",
            f"{settings('encode', codes)} --data {data} --reconstructions {grids} --out results/codes/{codes}",
        ]
    lines.append(f"{settings('train', first.name)} --data {data}{start} --out {base}")
    if base != model:
        lines.append(f"{settings('train', training)} --data {data} --base {base} --out {model}")
    inputs = ""
    if source in (Source.COARSE, Source.HYPOTHESES):
        coarse = f"results/samples/{coarse_run}/0"
        lines.append(f"{settings('sample', coarse_run)} --model {base} --shard 0 --out {coarse}{note}")
        inputs += f" --coarse {coarse}"
    if source == Source.HYPOTHESES:
        bank = f"results/hypotheses/{first.name}/0"
        lines.append(
            f"{settings('hypotheses', first.name)} --data {data} --model {base}{inputs} --shard 0 --out {bank}{note}"
        )
        inputs += f" --hypotheses {bank}"
    samples, views = f"results/samples/{name}/0", f"results/views/{name}/0"
    lines += [
        f"{settings('sample', name)} --model {model}{inputs} --shard 0 --out {samples}{note}",
        f"{settings('render', name)} --data {data} --samples {samples} --out {views}{note_views}",
        f"{settings('mesh', name)} --data {data} --samples {samples} --out results/meshes/{name}/0{note_views}",
        *scores,
        f"{settings('geometry', name)} --data {data} --meshes results/meshes/{name} --views results/views/{name}"
        f"{' --dataset results/dataset' if embedded else ''} --out {metrics}/geometry-{name}.json",
    ]
    return lines


def target(run: RunResults, preset: str) -> str:
    """The one line that has the workflow make this row and whatever it needs."""
    kinds = ("", "consistency-") if ROWS[run.method].source == Source.IMAGES else ("", "consistency-", "geometry-")
    files = " ".join(f"{run.results}/metrics/{kind}{run.name}.json" for kind in kinds)
    return f"snakemake --cores all {files} --config preset={preset} results={run.results}"
