"""A pipeline's results with one scene of every stage, for the tests of what uses a trained run."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import write_resolved
from tests.jobs import do

SEED = 7
RUN = "holofusion-hydrant-s0"


def train(repository: Path, prepared_smoke: Path, project: Path) -> Path:
    """Results with scene 7 of every stage: trainings of two steps; its shard alone is made, of eight."""
    (project / "config").mkdir()
    shutil.copy(repository / "params.yaml", project)
    overlay = yaml.safe_load((repository / "config/smoke.yaml").read_text())
    for section in ("warmup", "training"):
        overlay[section] |= {"steps": 2}
    overlay["sampling"] |= {"scenes": 8, "shards": 8}
    overlay.setdefault("distillation", {})["mode"] = "fast"  # has settings of its own for the hypotheses
    (project / "config/smoke.yaml").write_text(yaml.safe_dump(overlay))
    out = project / "results"
    write_resolved(load_params(project / "params.yaml", "smoke"), out)
    data = out / "data/hydrant"
    shutil.copytree(prepared_smoke, data)
    warmup = do(out, "warmup", "hydrant-s0", out / "warmup/hydrant-s0", data=data)
    model = do(out, "train", RUN, out / f"runs/{RUN}", data=data, warmup=warmup)

    def sample(row: str, **inputs: Path) -> Path:
        name = f"{row}-hydrant-s0"
        return do(out, "sample", name, out / f"samples/{name}/{SEED}", SEED, model=model, **inputs)

    coarse = sample("holodiffusion")
    sample("holodiffusion_star", coarse=coarse)
    bank = out / f"hypotheses/{RUN}/{SEED}"
    do(out, "hypotheses", RUN, bank, SEED, data=data, model=model, coarse=coarse)
    sample("holofusion", coarse=coarse, hypotheses=bank)
    return out
