"""The ladder: the same scores for pictures from every stage between photographs and samples, to see where they lose.

A rung is a set of pictures with a name. Rungs stand in chains, each after the rung that it is made from, so that the
difference of two neighbours' distances is what a stage costs:

    photographs       held-out photographs -> the same seen at 96, 64, 48, 32 px
    reconstructions   held-out photographs -> grids of training objects -> coded -> super-resolved -> fused
    samples           coded grids -> generated codes -> super-resolved -> fused

The step that makes a ladder scores a list of `RungPictures`, one at a time to keep memory low, and writes a `Ladder`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import numpy as np
import torch
from PIL import Image

from holofusion.evaluation.bootstrap import interval
from holofusion.evaluation.consistency import psnr_and_ssim
from holofusion.evaluation.denoising import DenoiserErrors
from holofusion.evaluation.entries import Entry, Facts, metric_of_entry
from holofusion.evaluation.fidelity import compare, distribution
from holofusion.evaluation.references import Pictures, evenly
from holofusion.evaluation.score import Scorer

Chain = Literal["photographs", "reconstructions", "samples"]
PHOTOGRAPHS = "photographs"  # name of the rung of held-out photographs at full size, which the chains begin with
SIZES = (96, 64, 48, 32)  # pixels a side that photographs are averaged to
METRICS = ("kernel", "precision", "recall", "density", "coverage", "sharpness", "sharpness_outline")


@dataclass(frozen=True)
class RungPictures:
    """Pictures of one rung. label: as shown; after: name of the rung it is made from.

    truth: what the pictures should show, uint8 (n,S,S,3) in their order, where there is such a thing.
    """

    name: str
    label: str
    chain: Chain
    pictures: Pictures
    after: str | None = None
    truth: np.ndarray | None = None


class Rung(TypedDict):
    """One rung as scored, against the training objects. psnr: mean dB against the true views, over the objects' pixels.

    strip: file of a strip of its first pictures, relative to the results folder.
    """

    name: str
    label: str
    chain: Chain
    after: str | None
    entries: list[Entry]
    psnr: float | None
    strip: NotRequired[str]


class Loss(TypedDict):
    """What a stage costs: kernel distance of a rung less that of the rung before it, with its 95 % interval."""

    name: str
    after: str
    value: float
    low: float | None
    high: float | None


class Ladder(Facts):
    """Content of `results/metrics/ladder-<run>.json`. loses_most: name of the rung whose stage costs most, or None."""

    feature_network: str
    rungs: list[Rung]
    losses: list[Loss]
    loses_most: str | None
    denoisers: list[DenoiserErrors]


def photograph_rungs(photographs: Pictures, sizes: Iterable[int] = SIZES) -> list[RungPictures]:
    """Rungs of photographs as they are, and averaged to each of `sizes` pixels that is smaller than they are."""
    rungs = [RungPictures(PHOTOGRAPHS, "held-out photographs", "photographs", photographs)]
    for size in sizes:
        if size < photographs.images.shape[1]:
            coarse = Pictures(coarsened(photographs.images, size), photographs.units)
            rungs.append(
                RungPictures(
                    f"{PHOTOGRAPHS}_{size}",
                    f"... seen at {size} px",
                    "photographs",
                    coarse,
                    rungs[-1].name,
                    photographs.images,
                )
            )
    return rungs


def coarsened(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 images (n,S,S,3) averaged over areas to `size` pixels a side, and enlarged again by a bicubic curve."""
    side = images.shape[1]
    return np.stack(
        [
            np.asarray(
                Image.fromarray(image)
                .resize((size, size), Image.Resampling.BOX)
                .resize((side, side), Image.Resampling.BICUBIC)
            )
            for image in images
        ]
    )


def score_rung(rung: RungPictures, scorer: Scorer) -> Rung:
    """Distances, precision, recall, density, coverage, sharpness and dB of one rung.

    Raises UserError for fewer than two pictures.
    """
    train, held_out = scorer.reference("train"), scorer.reference("held_out")
    generated = scorer.features(rung.pictures, rung.name)
    entries = compare(train, generated, "train", scorer.settings, scorer.redraws)
    entries += distribution(train, held_out, generated, scorer.redraws)
    entries += scorer.sharpness(rung.pictures)
    return {
        "name": rung.name,
        "label": rung.label,
        "chain": rung.chain,
        "after": rung.after,
        "entries": [entry for entry in entries if metric_of_entry(entry).name in METRICS],
        "psnr": None if rung.truth is None else mean_psnr(rung.pictures.images, rung.truth),
    }


def strip_of(images: np.ndarray, columns: int = 8) -> Image.Image:
    """`columns` evenly spaced ones of uint8 images (n,S,S,3), side by side; all where there are fewer."""
    return Image.fromarray(np.concatenate([images[place] for place in evenly(len(images), columns)], axis=1))


def mean_psnr(images: np.ndarray, truth: np.ndarray) -> float:
    """Mean PSNR in dB of uint8 images (n,S,S,3), over the pixels that are not white in both pictures."""
    first, second = (torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255 for part in (images, truth))
    return psnr_and_ssim(first, second)[0]


def entry_of(rung: Rung, metric: str) -> Entry | None:
    """A rung's entry of the metric that the table of metrics calls `metric`, or None."""
    return next((entry for entry in rung["entries"] if metric_of_entry(entry).name == metric), None)


def losses_of(rungs: list[Rung]) -> list[Loss]:
    """What every stage costs, in the order of the rungs. Redraws are paired, so shared objects and scenes cancel."""
    kernels = {rung["name"]: entry_of(rung, "kernel") for rung in rungs}
    losses: list[Loss] = []
    for rung in rungs:
        entry, before = kernels[rung["name"]], kernels.get(rung["after"] or "")
        if entry is None or before is None or rung["after"] is None:
            continue
        value, replicates = entry["value"] - before["value"], None
        if entry["replicates"] and before["replicates"]:
            replicates = np.subtract(entry["replicates"], before["replicates"])
        low, high = interval(value, replicates, min(entry["units"], before["units"]))
        losses.append({"name": rung["name"], "after": rung["after"], "value": value, "low": low, "high": high})
    return losses


def loses_most(rungs: list[Rung], losses: list[Loss]) -> str | None:
    """Name of the rung whose stage costs most; photographs made coarse are a scale, not a stage. None if none costs."""
    scale = {rung["name"] for rung in rungs if rung["chain"] == "photographs"}
    stages = [loss for loss in losses if loss["name"] not in scale and loss["value"] > 0]
    return max(stages, key=lambda loss: loss["value"])["name"] if stages else None


def ladder_of(facts: Facts, feature_network: str, rungs: list[Rung], denoisers: list[DenoiserErrors]) -> Ladder:
    """The whole ladder; `denoisers` begins with the one that the others are measured against, the linear estimate."""
    losses = losses_of(rungs)
    return {
        **facts,
        "feature_network": feature_network,
        "rungs": rungs,
        "losses": losses,
        "loses_most": loses_most(rungs, losses),
        "denoisers": denoisers,
    }
