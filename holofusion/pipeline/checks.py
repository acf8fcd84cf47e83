"""Check params.yaml for mistakes across keys: values that contradict each other, methods or data that do not exist."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holofusion.config.load import Overlay, read_params
from holofusion.config.messages import nearest
from holofusion.config.params import OverCodes, Params
from holofusion.pipeline.registry import ROWS, Source
from holofusion.pipeline.resolve import settings_for
from holofusion.pipeline.scopes import categories_of
from holofusion.pipeline.sources import ROOT_VARIABLE, source_of
from holofusion.pipeline.steps import STEPS
from holofusion.utils.files import UserError

Conflict = tuple[str, str, set[str]]
"""Dotted key, message, and the sections that it lies between: who does not read all of these has no conflict."""

AT_MOST = (
    # the first may not exceed the second
    ("dataset.min_frames", "dataset.max_frames"),
    ("sampling.shards", "sampling.scenes"),
    ("training.rendered", "training.batch"),
    ("superresolution.objects", "training.batch"),
    ("code_training.weakest", "code_sampling.local_below"),  # below, nothing is trained that could be asked
    ("superresolution.low_size", "dataset.image_size"),
    ("superresolution.crop", "dataset.image_size"),
    ("rendering.image_size", "dataset.image_size"),
    ("distillation.patch", "dataset.image_size"),
    ("distillation.sds_noise_min", "distillation.sds_noise_max"),
    ("graf.patch", "graf.image_size"),
    ("graf.scale_end", "graf.scale_start"),
    ("sds.noise_min", "sds.noise_max"),
    ("sds.image_size", "magic3d.image_size"),
    ("magic3d.noise_min", "magic3d.noise_max"),
)
POWERS_OF_TWO = (
    "pigan.image_size",
    "graf.patch",
    "eg3d.raw_size",
    "eg3d.plane_resolution",
    "get3d.image_size",
    "get3d.plane_resolution",
)
# of the 3D U-Net's coarsest level: torch 2.12's bf16 convolutions in 3D give NaN gradients on CPUs at side 2
SMALLEST_SIDE = 3


def load_params(
    path: Path | str = "params.yaml", preset: str | None = None, overlays: Sequence[Overlay] = ()
) -> Params:
    """params.yaml with its overlays, as `config.load.read_params` reads them, and free of conflicts.

    Raises UserError with one line per mistake.
    """
    return read_params(path, preset, overlays, conflicts)


def conflicts(params: Params) -> Iterator[tuple[str, str]]:
    """(dotted key, message) of every conflict."""
    for key in ("categories", "seeds", "methods"):
        values = getattr(params, key)
        if len(set(values)) < len(values):
            yield key, "an entry is given twice"
    for method in params.methods:
        if method not in ROWS:
            yield "methods", f"unknown method {method!r}; {nearest(method, ROWS)}"
    if params.dataset.root is not None and source_of(params).embedded:
        yield "dataset.root", "is only read with dataset.source: co3d; remove it or change the source"
    if params.download.release is not None and source_of(params).embedded:
        yield "download.release", "is only read with dataset.source: co3d; set it to null or change the source"
    for method in params.methods:
        if method in ROWS and ROWS[method].source in (Source.COARSE, Source.HYPOTHESES):
            section, key = ("code_training", "crops") if ROWS[method].over_codes else ("superresolution", "objects")
            if settings_for(params, ROWS[method].trained_by)[section][key] == 0:
                yield f"{section}.{key}", f"0 is not valid; the row {method} needs super-resolution, so at least 1"
                break
    for method in params.methods:
        if method in ROWS and "surface_fusion" in ROWS[method].sample_settings.model_fields:
            if settings_for(params, method)["distillation"]["loss"] == "sds":
                yield (
                    f"{method}.distillation.loss",
                    "'sds' is not valid; a surface is fused with 'patch_remix' or 'mse'",
                )
    rendered = params.sampling.scenes * params.render.views
    if params.evaluation.images > rendered:
        yield (
            "evaluation.images",
            (f"{params.evaluation.images} is not valid; sampling.scenes times render.views, {rendered}, are rendered"),
        )
    if params.render.consistency_scenes > params.sampling.scenes:
        yield (
            "render.consistency_scenes",
            (
                f"{params.render.consistency_scenes} is not valid; it should be at most sampling.scenes, {params.sampling.scenes}"
            ),
        )
    pool, least = params.dataset.evaluation_cameras, 2 * params.render.consistency_views + 1
    if pool < least:
        yield (
            "render.consistency_views",
            (
                f"{params.render.consistency_views} is not valid; of {pool} dataset.evaluation_cameras some would be taken twice"
            ),
        )
    if source_of(params).embedded and params.evaluation.reference_frames >= params.synthetic.views:
        yield (
            "evaluation.reference_frames",
            (
                f"{params.evaluation.reference_frames} is not valid; of synthetic.views, {params.synthetic.views}, some must be"
                " left for the row of copies"
            ),
        )
    if len(params.categories) == 1 and params.evaluation.other_category in params.categories:
        yield "evaluation.other_category", f"{params.evaluation.other_category!r} is one of `categories`; name another"
    weights = "of a Stable Diffusion pipeline"
    for section, holds, rows in (
        ("external", "of its pictures", ("external",)),
        ("stable_dreamfusion", weights, ("stable_dreamfusion", "stable_magic3d")),
    ):
        for row in rows:
            if row in params.methods and getattr(params, section).folder is None:
                yield f"{section}.folder", f"null is not valid with the row `{row}`; name the folder {holds}"
    yield from _between_sections(params)


def _between_sections(params: Params) -> Iterator[tuple[str, str]]:
    """Conflicts within what is read for the rows asked for, each row by its own settings."""
    read = _sections_read(params)
    of_all = {(key, message) for key, message, _ in _found(settings_for(params, None))}
    seen: set[str] = set()
    for row in (None, *(name for name in read if name)):
        own = read[row] | read.get(ROWS[row].trained_by, set()) if row else set()
        for key, message, sections in _found(settings_for(params, row)):
            if sections <= read[None] | own and key not in seen:
                seen.add(key)
                yield (key if row is None or (key, message) in of_all else _named(params, row, key)), message


def _sections_read(params: Params) -> dict[str | None, set[str]]:
    """The sections that are read for each row asked for, and for each that such a row needs; under None, for all of these."""
    one = {"methods": [row for row in params.methods if row in ROWS], "categories": params.categories[:1]}
    asked, read = params.model_copy(update=one), dict[str | None, set[str]]({None: set()})
    for step in STEPS.values():
        for method in dict.fromkeys(subject.method for subject in step.scope.subjects(asked)):
            read.setdefault(method, set()).update(step.settings_of(method).model_fields)
    return read


def _named(params: Params, row: str, key: str) -> str:
    """The key as it can be edited for this row: in the row's own section, or in that of all rows over codes."""
    section, name = key.split(".")
    own = getattr(getattr(params, row, None), section, None)
    kind = ROWS[row].over_codes and section in OverCodes.model_fields and getattr(own, name, None) is None
    return f"{'over_codes' if kind else row}.{key}"


def _found(content: dict[str, Any]) -> Iterator[Conflict]:
    yield from _over_limit(content)
    yield from _indivisible(content)
    yield from _uncodable(content)
    yield from _uncounted(content)


def _over_limit(content: dict[str, Any]) -> Iterator[Conflict]:
    for low, high in AT_MOST:
        sections = {key.split(".")[0] for key in (low, high)}
        small, large = (content[section][key] for section, key in (low.split("."), high.split(".")))
        if small > large:
            yield low, f"{small!r} is not valid; it should be at most {high}, which is {large!r}", sections


def _indivisible(content: dict[str, Any]) -> Iterator[Conflict]:
    """Sides a U-Net cannot halve once per level, its entry included, or not so often; crops that cut a render's pixel."""
    sides = (
        ("volume", "resolution", "denoiser"),
        ("dataset", "image_size", "superresolution"),
        ("superresolution", "crop", "superresolution"),
        ("sds", "image_size", "sds"),
        ("magic3d", "image_size", "sds"),
    )
    for section, key, network in sides:
        side, levels = content[section][key], len(content[network]["channels"])
        divisor = 2**levels
        if side % divisor:
            message = (
                f"{side} is not valid; {network}.channels has {levels} levels, so it should be a multiple of {divisor}"
            )
            yield f"{section}.{key}", message, {section, network}
    resolution, levels = content["volume"]["resolution"], len(content["denoiser"]["channels"])
    if resolution < (least := SMALLEST_SIDE * 2**levels):
        message = f"{resolution} is not valid; denoiser.channels has {levels} levels, so it should be at least {least}"
        yield "volume.resolution", message, {"volume", "denoiser"}
    for key in POWERS_OF_TWO:
        section, name = key.split(".")
        value = content[section][name]
        if value & (value - 1):
            yield key, f"{value} is not valid; it should be a power of 2", {section}
    pigan = content["pigan"]
    if pigan["image_size"] >> pigan["doublings"] < 8:
        message = f"{pigan['doublings']} is not valid; pigan.image_size, {pigan['image_size']}, would start below 8 px"
        yield "pigan.doublings", message, {"pigan"}
    superresolution, sections = content["superresolution"], {"superresolution", "dataset"}
    size, low, crop = content["dataset"]["image_size"], superresolution["low_size"], superresolution["crop"]
    if size % low:
        message = f"{low} is not valid; it should divide dataset.image_size, which is {size}"
        yield "superresolution.low_size", message, sections
    elif crop % (size // low):
        message = f"{crop} is not valid; it should be a multiple of {size // low}, a render's pixel"
        yield "superresolution.crop", message, sections


def _uncodable(content: dict[str, Any]) -> Iterator[Conflict]:
    """Blocks that do not fill a grid, more numbers than a block has, or codes that the denoiser's U-Net cannot halve."""
    resolution, block = content["reconstruction"]["resolution"], content["codes"]["block"]
    numbers, levels = content["codes"]["numbers"], len(content["code_denoiser"]["channels"])
    least, divisor = SMALLEST_SIDE * 2**levels, block * 2**levels
    if resolution % block:
        message = f"{resolution} is not valid; it should be a multiple of codes.block, which is {block}"
        yield "reconstruction.resolution", message, {"reconstruction", "codes"}
    if resolution % divisor or resolution < block * least:
        message = (
            f"{resolution} is not valid; with codes.block {block} and {levels} levels of code_denoiser.channels it should be a "
            f"multiple of {divisor}, at least {block * least}"
        )
        yield "reconstruction.resolution", message, {"reconstruction", "codes", "code_denoiser"}
    if numbers > 4 * block**3:
        message = f"{numbers} is not valid; a block has {4 * block**3} numbers, four for each voxel"
        yield "codes.numbers", message, {"codes"}


def _uncounted(content: dict[str, Any]) -> Iterator[Conflict]:
    """Shares of a batch, or of the noise steps, that do not come out as they read."""
    training, objects = content["training"], content["superresolution"]["objects"]
    bootstrapped = round(training["bootstrap"] * training["batch"])
    if training["bootstrap"] and not bootstrapped:
        message = (
            f"{training['bootstrap']} is not valid; of a batch of {training['batch']} it is no object (0: no bootstrap)"
        )
        yield "training.bootstrap", message, {"training"}
    left = training["batch"] - bootstrapped
    if objects and objects > left:
        message = f"{objects} is not valid; training.batch has {left} objects left beside the bootstrap"
        yield "superresolution.objects", message, {"superresolution", "training"}
    sampling, noise_steps = content["superresolution_sampling"], content["superresolution"]["noise_steps"]
    levels = 1 + round((1 - sampling["end"]) * (noise_steps - 1))
    if sampling["steps"] > levels:
        message = (
            f"{sampling['steps']} is not valid; there are {levels} noise levels down to superresolution_sampling.end"
        )
        yield "superresolution_sampling.steps", message, {"superresolution_sampling", "superresolution"}


def data_root(params: Params) -> Path | None:
    """The folder of photographs; None where the data are made here.

    It is checked to hold every category, unless what is missing is to be downloaded (`download.release`).

    Raises UserError naming the key or variable that is missing or wrong.
    """
    if source_of(params).embedded:
        return None
    chosen, source = params.dataset.root, "dataset.root"
    if chosen is None:
        chosen, source = os.environ.get(ROOT_VARIABLE), ROOT_VARIABLE
    if not chosen:
        raise UserError(f"dataset.root: not set; name a folder in CO3D layout there or in the variable {ROOT_VARIABLE}")
    root = Path(chosen)
    if params.download.release is not None:
        return root
    if not root.is_dir():
        raise UserError(f"{source}: {chosen}: no such folder; it should hold one folder per category in CO3D layout")
    present = sorted(file.parent.name for file in root.glob("*/frame_annotations.jgz"))
    for category in categories_of(params):
        if category not in present:
            key = "categories" if category in params.categories else "evaluation.other_category"
            raise UserError(f"{key}: {category!r} is not in {root}; it holds {', '.join(present) or 'none'}")
    return root
