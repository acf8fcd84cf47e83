"""Names of runs, warm-ups and rows of real images. Nothing else spells or parses them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holofusion.pipeline.registry import ROWS, Need, coarse_of

RUN = "{method}-{category}-s{seed}"
WARMUP = "{category}-s{seed}"
CODES = "{category}-s{seed}"
REAL = "{real}-{category}"
CATEGORY = "{category}"

CONSTRAINTS = {
    # wildcard of a pattern: regular expression
    "method": "[a-z][a-z0-9_]*",
    "category": "[a-z][a-z0-9_]*",
    "real": "real_[a-z]+",
    "seed": r"\d+",
    "shard": r"\d+",
}


def read_name(pattern: str, name: str) -> dict[str, str] | None:
    """The wildcards of a name of this pattern, in their order; None where it is none."""
    parts = re.split(r"\{(\w+)\}", pattern)
    expression = "".join(
        f"(?P<{part}>{CONSTRAINTS[part]})" if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
    match = re.fullmatch(expression, name)
    return match.groupdict() if match else None


@dataclass(frozen=True)
class Run:
    """One row for one category and training seed."""

    method: str
    category: str
    seed: int

    @property
    def name(self) -> str:
        """As its files and folders are called."""
        return RUN.format(method=self.method, category=self.category, seed=self.seed)

    @property
    def training(self) -> Run:
        """The run whose weights this one uses: itself, or that of the method it shares them with."""
        return Run(ROWS[self.method].trained_by, self.category, self.seed)

    @property
    def first_stage(self) -> Run:
        """The run whose training gives its coarse scenes and hypotheses: mostly that of its own weights."""
        return Run(ROWS[self.method].first_stage, self.category, self.seed)

    @property
    def coarse(self) -> Run:
        """The run whose scenes from noise it starts from; itself where there is none."""
        return Run(coarse_of(self.method), self.category, self.seed)

    @property
    def warmup(self) -> str | None:
        """The name of the warm-up that its training starts from; None where it needs none."""
        return seed_name(self.category, self.seed) if Need.WARMUP in ROWS[self.method].needs else None

    @property
    def codes(self) -> str | None:
        """The name of the objects' codes that its training starts from; None where it needs none."""
        return CODES.format(category=self.category, seed=self.seed) if Need.CODES in ROWS[self.method].needs else None

    @property
    def base(self) -> Run | None:
        """The run whose finished training its own takes over; None where there is none."""
        return self.first_stage if ROWS[self.method].base else None

    @classmethod
    def parse(cls, name: str) -> Run:
        """The run called `name`. Raises ValueError where it is no name of a run."""
        parts = read_name(RUN, name)
        if parts is None:
            raise ValueError(f"{name!r} is not a name like {RUN}")
        return cls(parts["method"], parts["category"], int(parts["seed"]))


def real_name(row: str, category: str) -> str:
    """The name of a row of real images for one category."""
    return REAL.format(real=row, category=category)


def seed_name(category: str, seed: int) -> str:
    """The name of what there is once for each category and training seed, as warm-ups and figures."""
    return WARMUP.format(category=category, seed=seed)
