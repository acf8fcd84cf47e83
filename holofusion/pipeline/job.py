"""The argument of every `run(job)` in `holofusion/steps/`: settings, inputs, output and device of one job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from holofusion.config.steps import StepSettings
from holofusion.pipeline.runs import Run
from holofusion.utils.files import UserError

if TYPE_CHECKING:
    import torch

S = TypeVar("S", bound=StepSettings, covariant=True)


@dataclass(frozen=True)
class Resolved(Generic[S]):
    """What a settings file of a step holds.

    name: of the step's results. method is None where the step serves all methods, category where it serves all categories;
    seed is DATA_SEED where it serves all seeds. hash: of method, category, seed and settings.
    further: by row of the table, sections, as plain values, that the step hands on with what it makes but does not read (a
    training: those that sampling takes, so that the folder of weights is complete); they do not count in the hash.
    fusions: by `distillation.mode`, the sections that fusing the row's scenes reads, handed on in the same way.
    """

    step: str
    name: str
    method: str | None
    category: str | None
    seed: int
    hash: str
    settings: S
    further: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)
    fusions: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """The run that the step is done for. Raises ValueError for a step that serves several."""
        if self.method is None or self.category is None:
            raise ValueError(f"{self.step} {self.name}: not of one run")
        return Run(self.method, self.category, self.seed)


@dataclass(frozen=True)
class Job(Generic[S]):
    """A step's settings, the paths it reads and the one it makes.

    inputs: by the name of the option, those that are given. chosen_device: None for a step that does not choose one.
    """

    resolved: Resolved[S]
    out: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)
    shard: int = 0
    threads: int = 1
    chosen_device: torch.device | None = None

    @property
    def settings(self) -> S:
        """The sections that the step reads."""
        return self.resolved.settings

    @property
    def device(self) -> torch.device:
        """Where it computes. Raises ValueError for a step that does not choose a device."""
        if self.chosen_device is None:
            raise ValueError(f"{self.resolved.step}: has no device")
        return self.chosen_device

    @property
    def run(self) -> Run:
        """The run that the step is done for."""
        return self.resolved.run

    @property
    def category(self) -> str:
        """The category that the step is done for. Raises ValueError for a step that serves all."""
        if self.resolved.category is None:
            raise ValueError(f"{self.resolved.step} {self.resolved.name}: not of one category")
        return self.resolved.category

    def path(self, option: str) -> Path:
        """The input given as `--option`. Raises UserError where it was left out."""
        if option not in self.inputs:
            raise UserError(f"--{option}: missing; {self.resolved.step} {self.resolved.name} is made from it")
        return self.inputs[option]
