"""Scores of one set of pictures against real ones: distances, distribution, sharpness; of a run, or of real images.

Sees folders only: prepared data, and view folders of PNG files with their `cameras.json`. Features are taken once per
image; the distances are torch-fidelity's own functions. Lead with the kernel distance: it is unbiased, while the
Fréchet distance falls with the number of images and is comparable at equal counts only, which `evaluation.images` fixes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from holofusion.data.views import PreparedCategory
from holofusion.evaluation import features as networks
from holofusion.evaluation import manifold
from holofusion.evaluation.bootstrap import entry, redraw, replicates_of
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.frechet import frechet
from holofusion.evaluation.kernel import kernel_replicates, repeated_image_distance
from holofusion.evaluation.references import (
    REFERENCES,
    ImageSet,
    Pictures,
    evenly,
    real_pictures,
    reference_rows,
    reference_set,
    renumbered,
)
from holofusion.evaluation.sharpness import sharpness
from holofusion.files import UserError, write_json
from holofusion.logs import say
from holofusion.methods.registry import FLOOR


def frechet_distance(real: torch.Tensor, generated: torch.Tensor) -> float:
    """torch-fidelity's Fréchet distance of two feature sets (n,C), (m,C), float64, n and m at least 2."""
    statistics = [fid_features_to_statistics(features) for features in (real, generated)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def kernel_distance(real: torch.Tensor, generated: torch.Tensor, subset_size: int, subsets: int) -> float:
    """torch-fidelity's kernel distance: mean over `subsets` random pairs of `subset_size` images, its own seed."""
    result = kid_features_to_metric(real, generated, kid_subset_size=subset_size, kid_subsets=subsets, verbose=False)
    return float(result[KEY_METRIC_KID_MEAN])


def draws_of(real: ImageSet, generated: ImageSet, reference: str, settings: Any, seed: int) -> tuple:
    """Redraws (R,U) of the real objects and (R,V) of the scenes. All methods and seeds share those of the objects."""
    objects = redraw(real.units.max() + 1, settings.bootstrap, "objects", reference)
    return objects, redraw(generated.units.max() + 1, settings.bootstrap, "scenes", seed)


def compare(real: ImageSet, generated: ImageSet, reference: str, settings: Any, seed: int) -> list[dict[str, Any]]:
    """Both distances between two sets as metric entries (Fréchet first), with sample counts, intervals and replicates.

    Raises UserError if a set has fewer than two images or a distance is not finite.
    """
    if min(len(real), len(generated)) < 2:
        raise UserError(
            f"{reference}: a distance needs two images on either side, got {len(real)} and {len(generated)}"
        )
    frechet_name, kernel_name = networks.metric_names(settings.feature_network)
    size = min(settings.kernel_subset_size, len(real), len(generated))
    first, second = real.features.numpy(), generated.features.numpy()
    draws = draws_of(real, generated, reference, settings, seed)
    units = min(real.units.max(), generated.units.max()) + 1

    def redrawn(objects: np.ndarray, scenes: np.ndarray) -> float:
        return frechet(first, second, objects[real.units], scenes[generated.units])

    counts = {"n_real": len(real), "n_generated": len(generated)}
    kernel = kernel_distance(real.features, generated.features, size, settings.kernel_subsets)
    kernels = kernel_replicates(first, second, real.units, generated.units, *draws)
    further = {"subset_size": size, "subsets": settings.kernel_subsets}
    value = frechet_distance(real.features, generated.features)
    return [
        entry(frechet_name, reference, value, replicates_of(redrawn, *draws), units, **counts),
        entry(kernel_name, reference, kernel, kernels, units, **counts, **further),
    ]


def mean_entry(
    metric: str, reference: str | None, value: float, parts: np.ndarray, units: np.ndarray, draws: Any, **counts: int
) -> dict[str, Any]:
    """The entry of a mean over images: `parts` (n,) is what each adds; its units are redrawn by `draws` (R,U)."""
    sums, sizes = np.bincount(units, parts), np.bincount(units)
    replicates = replicates_of(lambda drawn: float(drawn @ sums / (drawn @ sizes)), draws)
    return entry(metric, reference, value, replicates, len(sizes), **counts)


def distribution(
    train: ImageSet, held_out: ImageSet, generated: ImageSet, settings: Any, seed: int
) -> list[dict[str, Any]]:
    """Precision, recall, density, coverage, diversity and memorisation against the training objects.

    The first four look at as many real images as generated ones, evenly spaced over the training objects: their
    neighbourhoods then mean the same on both sides. Diversity is a share of the real images'. `memorised` is the share
    of images nearer to a training image than all but 5 % of real held-out images are.
    """
    chosen = evenly(len(train), len(generated))
    real = ImageSet(train.features[chosen], renumbered(train.units[chosen]))
    first, second = real.features.numpy(), generated.features.numpy()
    objects, scenes = draws_of(real, generated, "train", settings, seed)
    counts = {"n_real": len(real), "n_generated": len(generated)}
    parts = manifold.shares(first, second)
    values = {name: float(part.mean()) for name, part in parts.items()}
    values["precision"], values["recall"] = manifold.precision_recall(first, second)
    found = []
    for name, part in parts.items():
        side, draws = (generated.units, scenes) if name in ("precision", "density") else (real.units, objects)
        found.append(mean_entry(name, "train", values[name], part, side, draws, **counts))
    among = manifold.spread(second, generated.units)
    whole = manifold.spread(train.features.numpy(), train.units)(np.ones(train.units.max() + 1))
    number = generated.units.max() + 1
    replicates = replicates_of(lambda drawn: among(drawn) / whole, scenes)
    diversity = among(np.ones(number)) / whole if number > 1 else 0.0
    found.append(entry("diversity", "train", diversity, replicates, number, **counts))
    limit = manifold.near_limit(train.features.numpy(), held_out.features.numpy())
    remembered = (manifold.nearest(train.features.numpy(), second)[1] < limit).astype(float)
    counts["n_real"] = len(train)
    found.append(
        mean_entry("memorised", "train", float(remembered.mean()), remembered, generated.units, scenes, **counts)
    )
    return found


def nearest_of(
    real: dict[str, ImageSet], generated: ImageSet, names: tuple[str, ...], rows: np.ndarray
) -> list[dict[str, Any]]:
    """For the first picture of every scene: its file, the row of the nearest training image, and how near that is."""
    training = real["train"].features.numpy()
    number, distance = manifold.nearest(training, generated.features.numpy())
    limit = manifold.near_limit(training, real["held_out"].features.numpy())
    return [
        {"picture": names[at], "row": int(rows[number[at]]), "distance": float(distance[at]),
         "memorised": bool(distance[at] < limit)}
        for at in np.unique(generated.units, return_index=True)[1]
    ]  # fmt: skip


def open_inputs(
    resolved: Any, data_dir: Path, out: Path, device: torch.device | str
) -> tuple[PreparedCategory, FeatureExtractorBase, Path]:
    """Prepared data, the feature network, and the folder beside `out` where features of real images are kept."""
    settings = resolved.settings.evaluation
    extractor = networks.load_network(settings.feature_network, settings.inception_weights, torch.device(device))
    return PreparedCategory.load(Path(data_dir)), extractor, Path(out).parent / "features"


def _score(
    resolved: Any,
    run: str,
    method: str,
    pictures: dict[str, Pictures],
    inputs: tuple,
    out: Path,
    further: dict[str, Any],
) -> None:
    """Write every score of `pictures`, given by the reference they are compared with, to `out`."""
    settings, (data, extractor, cache) = resolved.settings.evaluation, inputs
    real = {split: reference_set(data, split, settings, extractor, cache) for split in REFERENCES}
    entries: list[dict[str, Any]] = []
    sets: dict[int, ImageSet] = {}  # the same pictures, the same features
    for reference in REFERENCES:
        given = pictures[reference]
        if id(given) not in sets:
            features = networks.extract(extractor, given.images, len(given), f"features {run}").double()
            sets[id(given)] = ImageSet(features, given.units)
        entries += compare(real[reference], sets[id(given)], reference, settings, resolved.seed)
    generated, shown = sets[id(pictures["train"])], pictures["train"]
    entries += distribution(real["train"], real["held_out"], generated, settings, resolved.seed)
    rows, _ = reference_rows(data, data.train, settings.reference_frames)
    sharp = sharpness(shown.images) / sharpness(data.images[rows[evenly(len(rows), len(shown))]]).mean()
    scenes = redraw(generated.units.max() + 1, settings.bootstrap, "scenes", resolved.seed)
    counts = {"n_generated": len(shown)}
    entries.append(mean_entry("sharpness", "train", float(sharp.mean()), sharp, shown.units, scenes, **counts))
    content = {
        "run": run, "method": method, "category": resolved.category, "seed": resolved.seed,
        "config_hash": resolved.hash, "feature_network": settings.feature_network,
        "n_scenes": int(generated.units.max()) + 1, **further, "entries": entries,
    }  # fmt: skip
    if shown.names:
        content["nearest"] = nearest_of(real, generated, shown.names, rows)
    if method == FLOOR:
        content["one_image_repeated"] = repeated_image_distance(real["train"].features.numpy())
    write_json(out, content)
    for found in entries:
        say(f"{run}  {found['metric']} vs {found['reference']}: {found['value']:.5g}")


def run_evaluate(resolved: Any, data_dir: Path, views_dir: Path, out: Path, device: torch.device | str = "cpu") -> None:
    """Score `evaluation.images` views of one run against the training and the held-out objects; write the JSON `out`.

    `views_dir` holds shards, each with `cameras.json` and the PNG files it lists; of more views than asked for, evenly
    spaced ones are scored. Reference features are shared by all runs in the folder `features/` beside `out`.
    Raises UserError for an empty or foreign folder, an unusable image, or too few of them: distances of unequal numbers
    of images do not compare.
    """
    settings = resolved.settings.evaluation
    run = f"{resolved.method}-{resolved.category}-s{resolved.seed}"
    inputs = open_inputs(resolved, data_dir, out, device)
    views = ViewFolder.load(Path(views_dir), run, inputs[0].image_size)
    if len(views.files) < settings.images:
        raise UserError(
            f"{views_dir}: {len(views.files)} views; evaluation.images asks for {settings.images} of every row"
        )
    chosen = evenly(len(views.files), settings.images)
    units = views.units[chosen]
    names = tuple(views.files[index].relative_to(views_dir).as_posix() for index in chosen)
    pictures = Pictures(np.stack([views.image(index) for index in chosen]), renumbered(units), names)
    further = {"n_available": len(views.files), "scenes": [views.seeds[unit] for unit in np.unique(units)]}
    _score(resolved, run, resolved.method, dict.fromkeys(REFERENCES, pictures), inputs, Path(out), further)


def run_reference(
    resolved: Any, data_dir: Path, other: Path | None, out: Path, device: torch.device | str = "cpu"
) -> None:
    """Score real images as if they were generated, as many as of every row: floor and ceilings of the table.

    Which images is in the settings' name, `<kind>-<category>`; see `references.real_pictures`. `other` is the prepared
    data of another category, for `real_other`. The floor also holds `one_image_repeated`, the kernel distance of a
    generator that knows one training image.
    """
    kind = resolved.name.removesuffix(f"-{resolved.category}")
    inputs, settings = open_inputs(resolved, data_dir, out, device), resolved.settings.evaluation
    found = PreparedCategory.load(other) if other else None
    pictures = real_pictures(kind, inputs[0], found, settings.images, settings.reference_frames)
    further = {"n_available": min(map(len, pictures.values())), "other_category": found.category if found else None}
    _score(resolved, f"{kind}-{resolved.category}", kind, pictures, inputs, Path(out), further)
