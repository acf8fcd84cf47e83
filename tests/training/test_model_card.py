"""A model card names data, steps, licence, limits, and the scores it is given."""

from __future__ import annotations

import re
from dataclasses import replace

import yaml

from holofusion.training.model_card import Score, TrainingData, model_card

MODEL = {
    "method": "pigan",
    "category": "mug",
    "seed": 3,
    "steps": 1200,
    "images": 9600,
    "seconds": 90.0,
    "parameters": {"generator": 1500, "discriminator": 200},
    "device": "some CPU",
    "precision": "bf16",
    "versions": {"torch": "2.12.0"},
    "git_commit": None,
    "config_hash": "0123456789abcdef",
}
DATA = TrainingData("synthetic", 7, 1, 42, 32)


def sections(card: str) -> dict[str, str]:
    """Text by heading."""
    parts = re.split(r"^## (.+)\n", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_head_is_what_hubs_read() -> None:
    head = yaml.safe_load(model_card(MODEL, DATA).split("---")[1])
    assert head["license"] == "mit" and head["library_name"] == "holofusion"


def test_data_and_training_are_those_of_the_files() -> None:
    card = model_card(MODEL, DATA)
    assert card.count("# pigan-mug-s3\n") == 1
    assert "42 images of 7 objects at 32 px; objects held out: 1." in sections(card)["Data"]
    training = sections(card)["Training"]
    for cell in (
        "1,200",
        "9,600",
        "1.5 minutes on some CPU, bf16",
        "generator 1,500, discriminator 200",
        "torch 2.12.0",
    ):
        assert cell in training


def test_weights_from_photographs_are_not_simply_mit() -> None:
    for source, words in (("co3d", "non-commercial"), (None, "does not say")):
        card = model_card(MODEL, replace(DATA, source=source))
        assert yaml.safe_load(card.split("---")[1])["license"] == "other"
        assert words in sections(card)["Licence"]
    assert "non-commercial" not in sections(model_card(MODEL, DATA))["Licence"]


def test_scores_are_listed_where_there_are_any() -> None:
    assert "|" not in sections(model_card(MODEL, DATA))["Scores"]
    scored = sections(model_card(MODEL, DATA, [Score("Kernel distance × 1000", "184 [169, 202]", "128 images")]))[
        "Scores"
    ]
    assert "| Kernel distance × 1000 | 184 [169, 202] | 128 images |" in scored
