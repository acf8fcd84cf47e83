"""Ways of fusing the same hypotheses, by quality and by seconds: docs/fusions.json and docs/fusions.png.

    python -m tools.fusions RESULTS

RESULTS is a finished run with the rows code_fusion and code_fusion_feedforward. Each way fuses the first scenes anew, and is
timed; what they have in common, coarse scenes and hypotheses, is not. Other work on the machine spoils the seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from holofusion.config.sampling import Distillation
from holofusion.config.steps import EvaluateSettings
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import metric_of_entry
from holofusion.evaluation.ladder import RungPictures, score_rung
from holofusion.evaluation.references import Pictures
from holofusion.evaluation.score import Scorer
from holofusion.methods.distillation import Targets, distil
from holofusion.methods.feedforward import FeedForwardFusion
from holofusion.methods.files import load_method, read_sections
from holofusion.methods.hypotheses import HypothesisBank
from holofusion.methods.least_squares_init import least_squares_init
from holofusion.methods.superresolution import SuperResolvedScene
from holofusion.pipeline.paths import scene_name
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.runs import Run
from holofusion.rendering.images import to_bytes
from holofusion.report.figures import ACCENT, FAINT, INK, STYLE
from holofusion.scenes.base import Scene
from holofusion.scenes.files import load_scene
from holofusion.scenes.voxel import SparseVoxelScene, VoxelScene
from holofusion.utils.files import read_json, write_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
FEEDFORWARD, COARSE = "code_fusion_feedforward", "coarse scene"
CATEGORY, SEED, SCENES, VIEWS = "hydrant", 0, 8, 8
CPU = torch.device("cpu")
SHOWN = {"kernel": "kernel distance x 1000", "sharpness": "sharpness"}

Way = Callable[[SuperResolvedScene, HypothesisBank], Scene]


def ways(full: Distillation, fast: Distillation, network: FeedForwardFusion) -> dict[str, Way]:
    """By name, in the order of what they cost, about. full, fast: settings of both modes of distillation."""
    return {
        COARSE: lambda scene, bank: scene.coarse,
        "feed-forward": network.fuse,
        "painted": lambda scene, bank: painted(scene, bank, fast),
        f"painted + {fast.steps} steps": lambda scene, bank: distil(scene, bank, fast),
        "mean of hypotheses": lambda scene, bank: distil(scene, mean_of(bank), full.model_copy(update={"loss": "mse"})),
        "full": lambda scene, bank: distil(scene, bank, full),
    }


def painted(scene: SuperResolvedScene, bank: HypothesisBank, section: Distillation) -> SparseVoxelScene:
    """The coarse scene in the colours that explain all hypotheses best, and nothing after that."""
    targets = Targets.of(scene, bank)
    field = least_squares_init(scene.coarse, targets.cameras, targets.bank.mean(1), targets.candidates, section)
    samples = {"coarse_samples": section.samples, "importance_samples": 0}
    return SparseVoxelScene(field, scene.coarse.facts.model_copy(update=samples))


def mean_of(bank: HypothesisBank) -> HypothesisBank:
    """The bank with one picture per camera, the mean of its hypotheses."""
    return HypothesisBank(bank.cameras, bank.pixels.mean(1, keepdims=True).round().astype(np.uint8))


def main(results: Path) -> None:
    own = Run(FEEDFORWARD, CATEGORY, SEED)
    base = own.first_stage
    settings = load_step(results / "config" / "evaluate" / f"{base.name}.yaml").settings
    assert isinstance(settings, EvaluateSettings)
    redraws = Redraws(settings.intervals.replicates, SEED)
    scorer = Scorer.open(results / "data" / CATEGORY, settings.evaluation, redraws, results / "metrics", CPU)
    facts = results / "runs" / own.name / "model.json"
    network = load_method(facts.parent, CPU, read_sections(facts, read_json(facts)["rows"][FEEDFORWARD]))
    assert isinstance(network, FeedForwardFusion)
    modes = {
        mode: read_sections(facts, sections)["distillation"]
        for mode, sections in read_json(results / "runs" / base.name / "model.json")["fusions"].items()
    }
    found = {}
    for name, way in ways(modes["full"], modes["fast"], network).items():
        seconds, images = [], []
        for seed in range(SCENES):
            coarse, bank = inputs_of(results, own, seed)
            scene = network.superresolve(coarse, seed)
            began = time.monotonic()
            fused = way(scene, bank)
            seconds.append(time.monotonic() - began)
            rows = torch.arange(seed * VIEWS, (seed + 1) * VIEWS) % len(scorer.data.evaluation_cameras)
            images.append(to_bytes(fused.render(scorer.data.evaluation_cameras[rows], scorer.data.image_size).rgb))
        pictures = Pictures(np.concatenate(images), np.repeat(np.arange(SCENES), VIEWS))
        entries = score_rung(RungPictures(name, name, "samples", pictures), scorer)["entries"]
        kept = {metric_of_entry(entry).name: {key: entry[key] for key in ("value", "low", "high")} for entry in entries}
        found[name] = {"seconds": float(np.mean(seconds)), **{metric: kept[metric] for metric in SHOWN}}
    write_json(DOCS / "fusions.json", found)
    figure_of(found).savefig(DOCS / "fusions.png")


def inputs_of(results: Path, run: Run, seed: int) -> tuple[VoxelScene, HypothesisBank]:
    """The coarse scene of a seed and its hypotheses, from whichever shard has them."""
    coarse = next((results / "samples" / run.coarse.name).glob(f"*/{scene_name(seed)}"))
    bank = next((results / "hypotheses" / run.first_stage.name).glob(f"*/{scene_name(seed)}"))
    scene = load_scene(coarse)[0]
    assert isinstance(scene, VoxelScene)
    return scene, HypothesisBank.load(bank)


def figure_of(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A panel per score: its value, with its interval, over the seconds of fusing one scene; the coarse scene as a line."""
    with matplotlib.rc_context(STYLE | {"figure.facecolor": "white"}):
        figure = Figure(figsize=(8.0, 2.8), layout="constrained")
        for axis, (metric, title) in zip(figure.subplots(1, len(SHOWN)), SHOWN.items(), strict=True):
            factor = 1000 if metric == "kernel" else 1
            for name, figures in found.items():
                value, ends = factor * figures[metric]["value"], [figures[metric][key] for key in ("low", "high")]
                if name == COARSE:
                    axis.axhline(value, color=FAINT, linewidth=0.8, linestyle="--")
                    continue
                colour = ACCENT if name == "feed-forward" else INK
                if None not in ends:  # too few scenes for an interval
                    axis.plot([figures["seconds"]] * 2, [factor * end for end in ends], color=colour, linewidth=0.8)
                axis.plot([figures["seconds"]], [value], "o", color=colour, markersize=4)
                up = 3 if list(found).index(name) % 2 else -9  # neighbours' names, one above the other
                axis.annotate(name, (figures["seconds"], value), (5, up), textcoords="offset points", fontsize=7)
            axis.set(xscale="log", xlim=(1, 100), xlabel="seconds of fusing a scene", title=title)
            axis.xaxis.set_major_formatter(ScalarFormatter())
        return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
