"""Compare a set of pictures with real ones in feature space: two distances, and what the distances do not tell apart.

The distances are torch-fidelity's functions. The kernel distance is unbiased and leads. The Fréchet distance falls with
the number of images and compares at equal counts only, which `evaluation.images` fixes.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

import numpy as np
import torch
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from holofusion.config.evaluation import Evaluation
from holofusion.evaluation import features as networks
from holofusion.evaluation import manifold
from holofusion.evaluation.bootstrap import Redraws, replicates_of
from holofusion.evaluation.entries import Counts, Entry, entry
from holofusion.evaluation.frechet import frechet
from holofusion.evaluation.kernel import kernel_replicates
from holofusion.evaluation.references import ImageSet, evenly, renumbered
from holofusion.utils.files import UserError


def frechet_distance(real: torch.Tensor, generated: torch.Tensor) -> float:
    """torch-fidelity's Fréchet distance of two feature sets (n,C), (m,C), float64, n and m at least 2."""
    statistics = [fid_features_to_statistics(features) for features in (real, generated)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def kernel_distance(real: torch.Tensor, generated: torch.Tensor, subset_size: int, subsets: int) -> float:
    """torch-fidelity's kernel distance: mean over `subsets` random pairs of `subset_size` images, its own seed."""
    result = kid_features_to_metric(real, generated, kid_subset_size=subset_size, kid_subsets=subsets, verbose=False)
    return float(result[KEY_METRIC_KID_MEAN])


def draws_of(
    real: ImageSet, generated: ImageSet, reference: str, redraws: Redraws
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Redraws (R,U) of the real objects and (R,V) of the scenes."""
    return redraws.of_objects(real.n_units, reference), redraws.of_scenes(generated.n_units)


def compare(real: ImageSet, generated: ImageSet, reference: str, settings: Evaluation, redraws: Redraws) -> list[Entry]:
    """Both distances between two sets as metric entries (Fréchet first), with sample counts, intervals and replicates.

    Raises UserError if a set has fewer than two images or a distance is not finite.
    """
    if min(len(real), len(generated)) < 2:
        raise UserError(
            f"{reference}: a distance needs two images on either side, got {len(real)} and {len(generated)}"
        )
    frechet_name = networks.metric_names(settings.feature_network)[0]
    first, second = real.features.numpy(), generated.features.numpy()
    draws = draws_of(real, generated, reference, redraws)
    units = min(real.n_units, generated.n_units)

    def redrawn(objects: np.ndarray, scenes: np.ndarray) -> float:
        return frechet(first, second, objects[real.units], scenes[generated.units])

    counts: Counts = {"n_real": len(real), "n_generated": len(generated)}
    value = frechet_distance(real.features, generated.features)
    return [
        entry(frechet_name, reference, value, replicates_of(redrawn, *draws), units, **counts),
        kernel_entry(real, generated, reference, settings, redraws),
    ]


def kernel_entry(
    real: ImageSet, generated: ImageSet, reference: str, settings: Evaluation, redraws: Redraws, of: str = ""
) -> Entry:
    """The kernel distance between two sets of at least two images; `of` goes before its name."""
    size = min(settings.kernel_subset_size, len(real), len(generated))
    value = kernel_distance(real.features, generated.features, size, settings.kernel_subsets)
    draws = draws_of(real, generated, reference, redraws)
    first, second = real.features.numpy(), generated.features.numpy()
    replicates = kernel_replicates(first, second, real.units, generated.units, *draws)
    counts: Counts = {"n_real": len(real), "n_generated": len(generated)}
    counts |= {"subset_size": size, "subsets": settings.kernel_subsets}
    name = of + networks.metric_names(settings.feature_network)[1]
    return entry(name, reference, value, replicates, min(real.n_units, generated.n_units), **counts)


def mean_entry(
    metric: str,
    reference: str | None,
    value: float,
    parts: np.ndarray,
    units: np.ndarray,
    draws: np.ndarray | None,
    **counts: Unpack[Counts],
) -> Entry:
    """The entry of a mean over images: `parts` (n,) is what each adds; `draws` (R,U) redraw the `units` (n,) they show."""
    sums, sizes = np.bincount(units, parts), np.bincount(units)
    replicates = replicates_of(lambda drawn: float(drawn @ sums / (drawn @ sizes)), draws)
    return entry(metric, reference, value, replicates, len(sizes), **counts)


def scene_mean(
    metric: str, reference: str | None, values: np.ndarray, redraws: Redraws, **counts: Unpack[Counts]
) -> Entry:
    """The entry of a mean over scenes, each of which has one of `values` (V,)."""
    scenes = redraws.of_scenes(len(values))
    return mean_entry(metric, reference, float(values.mean()), values, np.arange(len(values)), scenes, **counts)


def distribution(train: ImageSet, held_out: ImageSet, generated: ImageSet, redraws: Redraws) -> list[Entry]:
    """Precision, recall, density, coverage, diversity and memorisation against the training objects.

    The first four look at as many real images as generated ones, evenly spaced over the training objects: their
    neighbourhoods then mean the same on both sides. Diversity is a share of the real images'. `memorised` is the share
    of images nearer to a training image than all but 5 % of real held-out images are.
    """
    chosen = evenly(len(train), len(generated))
    real = ImageSet(train.features[chosen], renumbered(train.units[chosen]))
    first, second = real.features.numpy(), generated.features.numpy()
    objects, scenes = draws_of(real, generated, "train", redraws)
    counts: Counts = {"n_real": len(real), "n_generated": len(generated)}
    everyone = np.ones(len(real)), np.ones(len(generated))
    units = min(real.n_units, generated.n_units)
    theirs = dict(zip(("precision", "recall"), manifold.precision_recall(first, second), strict=True))
    entries: list[Entry] = []
    for name, share in manifold.shares(first, second).items():

        def redrawn(left: np.ndarray, right: np.ndarray, share: manifold.Statistic = share) -> float:
            return share(left[real.units], right[generated.units])

        value = theirs.get(name, share(*everyone))
        entries.append(entry(name, "train", value, replicates_of(redrawn, objects, scenes), units, **counts))
    among = manifold.diversity(second, generated.units)
    whole = manifold.diversity(train.features.numpy(), train.units)(np.ones(train.n_units))
    number = generated.n_units
    replicates = replicates_of(lambda drawn: among(drawn) / whole, scenes)
    diversity = among(np.ones(number)) / whole if number > 1 else 0.0
    entries.append(entry("diversity", "train", diversity, replicates, number, **counts))
    limit = manifold.near_limit(train.features.numpy(), held_out.features.numpy())
    remembered = (manifold.nearest(train.features.numpy(), second)[1] < limit).astype(float)
    counts["n_real"] = len(train)
    entries.append(
        mean_entry("memorised", "train", float(remembered.mean()), remembered, generated.units, scenes, **counts)
    )
    return entries


class Nearest(TypedDict):
    """A picture's file, the row of the training image nearest to it, the distance, and whether it counts as memorised."""

    picture: str
    row: int
    distance: float
    memorised: bool


def nearest_of(
    real: dict[str, ImageSet], generated: ImageSet, names: tuple[str, ...], rows: np.ndarray
) -> list[Nearest]:
    """For the first picture of every scene: its file, the row of the nearest training image, and how near that is."""
    training = real["train"].features.numpy()
    number, distance = manifold.nearest(training, generated.features.numpy())
    limit = manifold.near_limit(training, real["held_out"].features.numpy())
    return [
        {
            "picture": names[at],
            "row": int(rows[number[at]]),
            "distance": float(distance[at]),
            "memorised": bool(distance[at] < limit),
        }
        for at in np.unique(generated.units, return_index=True)[1]
    ]
