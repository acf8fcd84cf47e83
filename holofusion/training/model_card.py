"""The model card of a training: what its weights were made from, how, under which terms, and what they are not good for.

Sections as in Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. The head is what model hubs read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holofusion.data.prepared import PreparedCategory
from holofusion.pipeline.runs import Run

TERMS = {
    "synthetic": "The training images show procedural objects that this program made: no rights of others are involved.",
    "co3d": (
        "The training images are photographs in CO3D layout. CO3D itself is CC BY-NC 4.0, so weights trained on it are for "
        "non-commercial use. For other photographs their owners' terms hold."
    ),
}
UNKNOWN_TERMS = "The prepared data does not say where the training images came from. Their owners' terms hold."
LIMITS = (
    "One category; objects are generated without a condition.",
    "With few training objects a sample can resemble one of them: the report shows the nearest training images.",
    "Trainings of minutes on CPUs compare methods at small scale. They do not reach the papers' quality.",
    "Scores depend on the feature network that is part of their name. Only `fid` and `kid` can be compared with published ones.",
)


@dataclass(frozen=True)
class TrainingData:
    """What a training saw. source: `dataset.source` of its data, or None; image_size: pixels."""

    source: str | None
    train_objects: int
    held_out_objects: int
    images: int
    image_size: int

    @classmethod
    def of(cls, data: PreparedCategory) -> TrainingData:
        """What the card says of prepared data."""
        images = sum(len(data.frames[name]) for name in data.train)
        return cls(data.source, len(data.train), len(data.held_out), images, data.image_size)


@dataclass(frozen=True)
class Score:
    """A number of the card, as written: the value with its interval, and of how many images or scenes it is."""

    title: str
    value: str
    count: str


def model_card(model: Mapping[str, Any], data: TrainingData, scores: Sequence[Score] = ()) -> str:
    """The card as Markdown. model: the content of model.json."""
    run = Run(model["method"], model["category"], model["seed"]).name
    licence = "mit" if data.source == "synthetic" else "other"
    versions = ", ".join(f"{name} {number}" for name, number in model["versions"].items())
    training = {
        "method": f"`{model['method']}`, training seed {model['seed']}",
        "steps": f"{model['steps']:,}",
        "images seen": f"{model['images']:,}",
        "time": f"{model['seconds'] / 60:.1f} minutes on {model['device']}, {model['precision']}",
        "parameters": ", ".join(f"{name} {count:,}" for name, count in model["parameters"].items()),
        "code": f"commit {model['git_commit'] or 'unknown'}; {versions}",
        "settings": f"in `model.json`; hash {model['config_hash'][:12]}",
    }
    scored = [f"| {score.title} | {score.value} | {score.count} |" for score in scores]
    no_scores = (
        "None yet: scoring follows training. The report writes this card with scores to `results/tables/cards/`."
    )
    return "\n".join(
        [
            "---",
            f"license: {licence}",
            "library_name: holofusion",
            "tags: [unconditional-3d-generation]",
            "---",
            f"# {run}",
            "",
            f"A generator of 3D objects of the category *{model['category']}*, trained from posed images.",
            "",
            "```python",
            "import holofusion",
            "",
            f'run = holofusion.load("{run}")  # this folder',
            "scene = run.sample(seed=7)",
            "```",
            "",
            "## Data",
            "",
            f"{data.images:,} images of {data.train_objects} objects at {data.image_size} px; "
            f"objects held out: {data.held_out_objects}.",
            "",
            "## Training",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in training.items()),
            "",
            "## Scores",
            "",
            *(["| score | value | of |", "|---|---|---|", *scored] if scored else [no_scores]),
            "",
            "## Licence",
            "",
            f"The code is MIT. {TERMS.get(data.source or '', UNKNOWN_TERMS)}",
            "",
            "## Limits",
            "",
            *(f"- {limit}" for limit in LIMITS),
            "",
        ]
    )
