"""The interface of generators: a module built from sections of params.yaml, trained, and sampled.

The names of a method's constructor arguments are the names of the sections it is built from; those that only sampling reads
have the default None, so that a training needs none of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from holofusion.data.prepared import PreparedCategory
from holofusion.scenes.base import SampleRequest, Scene
from holofusion.training.base import Trainable
from holofusion.utils.files import UserError
from holofusion.utils.random import generator_for


@dataclass(frozen=True)
class WarmupResult:
    """What a warm-up hands on: refined grids (N, C, n, n, n) of the training objects, and the decoder's weights."""

    grids: Tensor
    decoder: dict[str, Tensor]


@dataclass(frozen=True)
class CodesResult:
    """What encoding hands on: codes (N, numbers, m, m, m) of the training objects and of the held-out ones, and the decoder's
    weights."""

    train: Tensor
    held_out: Tensor
    decoder: dict[str, Tensor]


@dataclass(frozen=True)
class TrainingInputs:
    """What a training is made from. warmup, codes, base: None where the row needs none.

    base: the weights of the finished training that is taken over.
    """

    data: PreparedCategory
    warmup: WarmupResult | None = None
    codes: CodesResult | None = None
    base: dict[str, Tensor] | None = None


class Method(Trainable):
    """A generator: a row of the table is one of these, and where its scenes come from.

    With `steps` 0 nothing is trained; `prepare` and `sample` suffice. seed_name: what initial weights are drawn under, so
    that trainings of the same class, seed and name start alike.
    """

    seed_name: str = "train"

    def prepare(self, inputs: TrainingInputs) -> None:
        """Take over, before the training, what is needed of the data and of the warm-up."""

    def sample(self, request: SampleRequest) -> Scene:
        """The scene of one seed, whatever was sampled before."""
        raise NotImplementedError


Module = TypeVar("Module", bound=nn.Module)


def sections_of(module_class: type[nn.Module]) -> tuple[str, ...]:
    """The names of the sections that a module is built from."""
    return tuple(inspect.signature(module_class).parameters)


def construct(module_class: type[Module], sections: Mapping[str, Any]) -> Module:
    """The module, built from those of the sections (by name) that it takes. Raises TypeError where one is missing."""
    taken = {name: sections[name] for name in sections_of(module_class) if sections.get(name) is not None}
    return module_class(**taken)


def build(module_class: type[Module], sections: Mapping[str, Any], device: torch.device, *seed_parts: object) -> Module:
    """The same on the device, with weights drawn from a seed of its own; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(*seed_parts, "weights").initial_seed())
        return construct(module_class, sections).to(device)


Given = TypeVar("Given")


def given(section: Given | None, name: str) -> Given:
    """The section of that name, if the method was built with it. Raises UserError naming it."""
    if section is None:
        raise UserError(f"{name}: this section is needed here; the model was built without it")
    return section
