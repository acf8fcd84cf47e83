"""Fréchet and kernel distance between rendered views and real images, and the floor between real and real.

Sees folders only: prepared data, and view folders of PNG files with their `cameras.json`. Features are taken once per
image; the distances are torch-fidelity's own functions. Lead with the kernel distance: it is unbiased, while the
Fréchet distance falls with the number of images and is comparable at equal counts only.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from holofusion.data.views import PreparedCategory
from holofusion.evaluation import features as networks
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.kernel import interval, repeated_image_distance
from holofusion.files import UserError, replacing, write_json
from holofusion.logs import say
from holofusion.seeds import numpy_generator_for

REFERENCES = ("train", "held_out")


@dataclass(frozen=True)
class ImageSet:
    """Features (n,C) float64 of one set of images, and for every image the number (n,) of its object or scene."""

    features: torch.Tensor
    units: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


def reference_rows(data: PreparedCategory, names: list[str], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) of `frames` evenly spaced images of each named capture (all if it has fewer), and object numbers (n,).

    Two captures of one object share its number: they are not independent.
    """
    numbers = {thing: number for number, thing in enumerate(dict.fromkeys(data.object_of[name] for name in names))}
    rows, units = [], []
    for name in names:
        own = data.frames[name]
        count = min(frames, len(own))
        rows += [own[index * len(own) // count] for index in range(count)]
        units += [numbers[data.object_of[name]]] * count
    return np.array(rows, int), np.array(units, int)


def reference_set(
    data: PreparedCategory, split: str, settings: Any, extractor: FeatureExtractorBase, cache: Path
) -> ImageSet:
    """Real images of the `train` or `held_out` objects. Features are kept in `cache`, named by pixels and network.

    Safe with several jobs at once: a file appears whole or not at all, and equal names hold equal content.
    Raises UserError if the split names no object.
    """
    names = data.train if split == "train" else data.held_out
    if not names:
        raise UserError(f"{data.folder / 'split.json'}: no {split} objects to compare with")
    rows, units = reference_rows(data, names, settings.reference_frames)
    digest = hashlib.sha256(networks.network_identity(settings.feature_network, settings.inception_weights).encode())
    for row in rows:
        digest.update(np.ascontiguousarray(data.images[row]))
    path = cache / f"{data.category}-{split}-{digest.hexdigest()[:24]}.safetensors"
    if path.is_file():
        features = load_file(path)["features"]
    else:
        features = networks.extract(extractor, (data.images[row] for row in rows), len(rows), f"features {split}")
        with replacing(path) as temporary:
            save_file({"features": features}, temporary)
    return ImageSet(features.double(), units)


def frechet_distance(real: torch.Tensor, generated: torch.Tensor) -> float:
    """torch-fidelity's Fréchet distance of two feature sets (n,C), (m,C), float64, n and m at least 2."""
    statistics = [fid_features_to_statistics(features) for features in (real, generated)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def kernel_distance(real: torch.Tensor, generated: torch.Tensor, subset_size: int, subsets: int) -> float:
    """torch-fidelity's kernel distance: mean over `subsets` random pairs of `subset_size` images, its own seed."""
    result = kid_features_to_metric(real, generated, kid_subset_size=subset_size, kid_subsets=subsets, verbose=False)
    return float(result[KEY_METRIC_KID_MEAN])


def compare(real: ImageSet, generated: ImageSet, reference: str, settings: Any, seed: int) -> list[dict[str, Any]]:
    """Both distances between two sets as metric entries (Fréchet first), with sample counts and intervals.

    The Fréchet entry has no interval: redrawing shrinks its effective count and moves the value itself.
    Raises UserError if a set has fewer than two images or a distance is not finite.
    """
    if min(len(real), len(generated)) < 2:
        raise UserError(
            f"{reference}: a distance needs two images on either side, got {len(real)} and {len(generated)}"
        )
    frechet_name, kernel_name = networks.metric_names(settings.feature_network)
    size = min(settings.kernel_subset_size, len(real), len(generated))
    kernel = kernel_distance(real.features, generated.features, size, settings.kernel_subsets)
    low, high = interval(
        kernel,
        real.features.numpy(),
        generated.features.numpy(),
        real.units,
        generated.units,
        settings.bootstrap,
        numpy_generator_for(seed, "bootstrap", reference),
    )
    counts = {"n_real": len(real), "n_generated": len(generated)}
    entries: list[dict[str, Any]] = [
        {
            "metric": frechet_name,
            "reference": reference,
            "value": frechet_distance(real.features, generated.features),
            "low": None,
            "high": None,
            **counts,
        },
        {
            "metric": kernel_name,
            "reference": reference,
            "value": kernel,
            "low": low,
            "high": high,
            **counts,
            "subset_size": size,
            "subsets": settings.kernel_subsets,
        },
    ]
    for entry in entries:
        if not math.isfinite(entry["value"]):
            raise UserError(f"{entry['metric']} against {reference}: not a finite number")
    return entries


def open_inputs(
    resolved: Any, data_dir: Path, out: Path, device: torch.device | str
) -> tuple[PreparedCategory, FeatureExtractorBase, Path]:
    """Prepared data, the feature network, and the folder beside `out` where features of real images are kept."""
    settings = resolved.settings.evaluation
    extractor = networks.load_network(settings.feature_network, settings.inception_weights, torch.device(device))
    return PreparedCategory.load(Path(data_dir)), extractor, Path(out).parent / "features"


def _write(
    resolved: Any,
    method: str,
    run: str,
    n_scenes: int,
    entries: list[dict[str, Any]],
    began: float,
    out: Path,
    **further: float,
) -> None:
    write_json(
        out,
        {
            "run": run,
            "method": method,
            "category": resolved.category,
            "seed": resolved.seed,
            "config_hash": resolved.hash,
            "feature_network": resolved.settings.evaluation.feature_network,
            "n_scenes": n_scenes,
            "entries": entries,
            **further,
            "seconds": round(time.monotonic() - began, 2),
        },
    )
    for entry in entries:
        say(f"{run}  {entry['metric']} vs {entry['reference']}: {entry['value']:.5g}")


def run_evaluate(resolved: Any, data_dir: Path, views_dir: Path, out: Path, device: torch.device | str = "cpu") -> None:
    """Score the views of one run against the training and the held-out objects; write the metrics JSON to `out`.

    `views_dir` holds shards, each with `cameras.json` and the PNG files it lists. Reference features are shared by all
    runs in the folder `features/` beside `out`. Raises UserError for an empty or foreign folder or an unusable image.
    """
    began = time.monotonic()
    settings = resolved.settings.evaluation
    run = f"{resolved.method}-{resolved.category}-s{resolved.seed}"
    data, extractor, cache = open_inputs(resolved, data_dir, out, device)
    views = ViewFolder.load(Path(views_dir), run, data.image_size)
    generated = ImageSet(
        networks.extract(extractor, views.images(), len(views.files), f"features {run}").double(), views.units
    )
    entries = []
    for reference in REFERENCES:
        real = reference_set(data, reference, settings, extractor, cache)
        entries += compare(real, generated, reference, settings, resolved.seed)
    _write(resolved, resolved.method, run, len(views.seeds), entries, began, out)


def run_floor(resolved: Any, data_dir: Path, out: Path, device: torch.device | str = "cpu") -> None:
    """Distance between training and held-out real images, the least a good generator can be asked for.

    `one_image_repeated` is the kernel distance of a generator that knows one training image: what diversity must beat.
    Entries against `train` take the held-out images as the generated ones; entries against `held_out` the reverse.
    """
    began = time.monotonic()
    settings = resolved.settings.evaluation
    data, extractor, cache = open_inputs(resolved, data_dir, out, device)
    sets = {split: reference_set(data, split, settings, extractor, cache) for split in REFERENCES}
    entries = compare(sets["train"], sets["held_out"], "train", settings, resolved.seed)
    entries += compare(sets["held_out"], sets["train"], "held_out", settings, resolved.seed)
    repeated = repeated_image_distance(sets["train"].features.numpy())
    name = f"real_floor-{resolved.category}"
    _write(resolved, "real_floor", name, len(data.held_out), entries, began, out, one_image_repeated=repeated)
