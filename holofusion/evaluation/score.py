"""Every score of a run's pictures, or of real images in their place, from folders to one metrics file.

Sees folders only: prepared data, and view folders of PNG files with their `cameras.json`. Features are taken once per image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from holofusion.data.prepared import PreparedCategory
from holofusion.evaluation import features as networks
from holofusion.evaluation.fidelity import compare, distribution, mean_entry, nearest_of, scene_draws
from holofusion.evaluation.folders import ViewFolder
from holofusion.evaluation.kernel import repeated_image_distance
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
from holofusion.pipeline.registry import FLOOR
from holofusion.utils.files import UserError, write_json
from holofusion.utils.progress import say


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
        entries += compare(real[reference], sets[id(given)], reference, resolved)
    generated, shown = sets[id(pictures["train"])], pictures["train"]
    entries += distribution(real["train"], real["held_out"], generated, resolved)
    rows, _ = reference_rows(data, data.train, settings.reference_frames)
    sharp = sharpness(shown.images) / sharpness(data.images[rows[evenly(len(rows), len(shown))]]).mean()
    scenes = scene_draws(shown.units, resolved)
    counts = {"n_generated": len(shown)}
    entries.append(mean_entry("sharpness", "train", float(sharp.mean()), sharp, shown.units, scenes, **counts))
    content = {
        "run": run,
        "method": method,
        "category": resolved.category,
        "seed": resolved.seed,
        "config_hash": resolved.hash,
        "feature_network": settings.feature_network,
        "n_scenes": int(generated.units.max()) + 1,
        **further,
        "entries": entries,
    }
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
