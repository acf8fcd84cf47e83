"""What every part is given: a finished training to measure on, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file

from holofusion.config.params import Params
from holofusion.config.steps import StepSettings
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs, WarmupResult, build
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.methods.holofusion import HoloFusion
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.job import Resolved
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.runs import Run, seed_name
from holofusion.scenes.base import unprefixed
from holofusion.utils.malloc import keep_freed_memory

DEVICE = torch.device("cpu")
Kind = TypeVar("Kind", bound=StepSettings)
PARAMS = Path(__file__).parents[1] / "params.yaml"


@dataclass(frozen=True)
class Context:
    """results: folder of a run whose row `holofusion` is trained. params: its settings. figures: where plots go.

    The first category and the first seed are measured. rounds: of every comparison.
    """

    results: Path
    params: Params
    figures: Path
    rounds: int = 7

    @classmethod
    def open(cls, results: Path, preset: str, figures: Path | None = None, rounds: int = 7) -> Context:
        """With the settings of this preset; plots go to RESULTS/figures unless told otherwise."""
        return cls(results, load_params(PARAMS, preset), figures or results / "figures", rounds)

    @property
    def category(self) -> str:
        return self.params.categories[0]

    @property
    def seed(self) -> int:
        return self.params.seeds[0]

    @property
    def threads(self) -> int:
        """As many as a training gets."""
        return self.params.threads.train

    @property
    def run(self) -> Path:
        """Folder of the trained run."""
        return self.results / "runs" / Run("holofusion", self.category, self.seed).name

    @property
    def data(self) -> PreparedCategory:
        return PreparedCategory.load(self.results / "data" / self.category)

    def resolved(self, step: str, name: str) -> Resolved:
        """The settings of a step of a run, as the workflow left them."""
        return load_step(self.results / "config" / step / f"{name}.yaml")

    @property
    def training(self) -> Resolved:
        """Settings of the joint training."""
        return self.resolved("train", self.run.name)

    @property
    def warmup(self) -> Resolved:
        return self.resolved("warmup", seed_name(self.category, self.seed))

    def warmup_tensors(self) -> dict[str, torch.Tensor]:
        """Weights of encoder and decoder, and `grids` of the training objects (objects, C, n, n, n)."""
        return load_file(self.results / "warmup" / seed_name(self.category, self.seed) / "model.safetensors")

    def joint_method(self, settings: StepSettings | None = None, trained: bool = False) -> HoloFusion:
        """The joint training's method, ready for a step, with first or trained weights; `settings` in place of its own."""
        warmup = self.warmup_tensors()
        method = build(HoloFusion, dict(settings or self.training.settings), DEVICE, self.seed, HoloFusion.seed_name)
        warm = WarmupResult(warmup["grids"], unprefixed("decoder", warmup))
        method.prepare(TrainingInputs(self.data, warm))
        if trained:
            method.load_state_dict(load_file(self.run / "model.safetensors"))
        return method

    def warmup_method(self) -> VoxelAutoencoder:
        """The warm-up's, with first weights."""
        return build(VoxelAutoencoder, dict(self.warmup.settings), DEVICE, self.seed, "warmup")


def start_process(threads: int) -> None:
    """Compute as the program's steps do: with so many threads, and freed memory kept."""
    torch.set_num_threads(threads)
    keep_freed_memory()


def changed(settings: Kind, **sections: dict) -> Kind:
    """The settings with some keys of some sections changed."""
    parts = {name: getattr(settings, name).model_copy(update=values) for name, values in sections.items()}
    return settings.model_copy(update=parts)
