"""Base class of methods with a discriminator: both players' parameters, and the numbers of the training loop."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn

from holofusion.config.baselines import Adversarial
from holofusion.methods.base import Method


class GeneratorSection(Protocol):
    """The section of one such method."""

    @property
    def steps(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...


class AdversarialMethod(Method):
    """A child makes `self.discriminator`; all else is generator. betas: Adam's."""

    gradient_limit = 10.0  # a guard against single bad steps
    betas: tuple[float, float] = (0.0, 0.99)
    discriminator: nn.Module

    def __init__(self, adversarial: Adversarial, section: GeneratorSection) -> None:
        super().__init__()
        self.adversarial = adversarial
        self.objects_per_batch, self.views_per_object = adversarial.batch, 1
        self.steps, self.ema, self.checkpoint_every = section.steps, adversarial.ema, adversarial.checkpoint_every
        self.generator_rate = section.learning_rate

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The generator's parameters, then the discriminator's."""
        generator = [value for name, value in self.named_parameters() if not name.startswith("discriminator.")]
        return [
            {"params": generator, "lr": self.generator_rate, "betas": self.betas},
            {
                "params": list(self.discriminator.parameters()),
                "lr": self.adversarial.learning_rate,
                "betas": self.betas,
            },
        ]
