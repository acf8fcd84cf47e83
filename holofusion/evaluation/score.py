"""Every score of a set of pictures against prepared real images. Features are taken once per image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from holofusion.config.evaluation import Evaluation
from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation import features as networks
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.entries import Counts, Entry
from holofusion.evaluation.fidelity import Nearest, compare, distribution, mean_entry, nearest_of, scene_mean
from holofusion.evaluation.kernel import repeated_image_distance
from holofusion.evaluation.memorisation import nearest_objects, picture_distances
from holofusion.evaluation.references import (
    REFERENCES,
    ImageSet,
    Pictures,
    Scored,
    evenly,
    reference_rows,
    reference_set,
)
from holofusion.evaluation.sharpness import outline_sharpness, sharpness
from holofusion.utils.progress import say


class Scores(TypedDict):
    """What `Scorer.score` measures. nearest: of pictures that are files, the nearest training images."""

    entries: list[Entry]
    nearest: NotRequired[list[Nearest]]


@dataclass(frozen=True)
class Scorer:
    """Real images of a category and a feature network, which all pictures are scored with.

    cache: folder that keeps features of real images, shared by all runs. redraws: those behind the intervals.
    """

    data: PreparedCategory
    extractor: FeatureExtractorBase
    settings: Evaluation
    redraws: Redraws
    cache: Path

    @classmethod
    def open(
        cls,
        data: Path,
        settings: Evaluation,
        redraws: Redraws,
        metrics: Path,
        device: torch.device | str,
    ) -> Scorer:
        """Read prepared data and the network's weights; features are kept in `features/` below the folder `metrics`.

        Raises UserError for data or weights that are absent or damaged.
        """
        extractor = networks.load_network(settings.feature_network, settings.inception_weights, torch.device(device))
        return cls(PreparedCategory.load(data), extractor, settings, redraws, metrics / "features")

    def reference(self, split: str) -> ImageSet:
        """Features of the real images of the `train` or `held_out` objects."""
        return reference_set(self.data, split, self.settings, self.extractor, self.cache)

    def features(self, pictures: Pictures, label: str) -> ImageSet:
        """Features of pictures; `label` names them in progress lines."""
        features = networks.extract(self.extractor, pictures.images, len(pictures), f"features {label}")
        return ImageSet(features.double(), pictures.units)

    def training_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows (n,) of the training images of the reference, and the numbers (n,) of their objects."""
        return reference_rows(self.data, self.data.train, self.settings.reference_frames)

    def one_image_repeated(self) -> float:
        """Kernel distance of a generator that knows one training image; median over the images."""
        return repeated_image_distance(self.reference("train").features.numpy())

    def sharpness(self, pictures: Pictures) -> list[Entry]:
        """Sharpness inside the object and of its outline, as shares of the training images' mean."""
        rows, _ = self.training_rows()
        real = self.data.images[rows[evenly(len(rows), len(pictures))]]
        scenes, entries = self.redraws.of_scenes(pictures.n_units), []
        for name, measure in (("sharpness", sharpness), ("sharpness_outline", outline_sharpness)):
            shares = measure(pictures.images) / measure(real).mean()
            value = float(shares.mean())
            entries.append(mean_entry(name, "train", value, shares, pictures.units, scenes, n_generated=len(pictures)))
        return entries

    def nearest_rank(self, generated: ImageSet, real: dict[str, ImageSet]) -> Entry:
        """Mean rank of the scenes' nearest training objects among the held-out objects' (see `memorisation`)."""
        distances, expected = (picture_distances(images, real["train"]) for images in (generated, real["held_out"]))
        ranks = np.array([nearest.rank for nearest in nearest_objects(distances, expected)])
        counts: Counts = {"n_real": len(real["train"]), "n_generated": len(generated)}
        return scene_mean("nearest_rank", "train", ranks, self.redraws, **counts)

    def score(self, scored: Scored, label: str) -> Scores:
        """Distances to both references, distribution, sharpness, rank, and the nearest training images of pictures with names."""
        real = {split: self.reference(split) for split in REFERENCES}
        generated = self.features(scored.pictures, label)
        other = self.features(scored.against_held_out, label) if scored.against_held_out else generated
        entries = compare(real["train"], generated, "train", self.settings, self.redraws)
        entries += compare(real["held_out"], other, "held_out", self.settings, self.redraws)
        entries += distribution(real["train"], real["held_out"], generated, self.redraws)
        entries += self.sharpness(scored.pictures)
        entries.append(self.nearest_rank(generated, real))
        scores: Scores = {"entries": entries}
        if scored.pictures.names:
            scores["nearest"] = nearest_of(real, generated, scored.pictures.names, self.training_rows()[0])
        return scores


def say_entries(label: str, entries: list[Entry]) -> None:
    """One line of the log per number."""
    for measured in entries:
        against = f" vs {measured['reference']}" if measured["reference"] else ""
        say(f"{label}  {measured['metric']}{against}: {measured['value']:.5g}")
