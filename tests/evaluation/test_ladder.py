"""Rungs made and scored: photographs made coarse by known amounts, costs of stages by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holofusion.config.evaluation import Evaluation
from holofusion.evaluation import features
from holofusion.evaluation.bootstrap import Redraws
from holofusion.evaluation.ladder import (
    Rung,
    coarsened,
    entry_of,
    ladder_of,
    loses_most,
    losses_of,
    mean_psnr,
    photograph_rungs,
    score_rung,
    strip_of,
)
from holofusion.evaluation.references import Pictures
from holofusion.evaluation.score import Scorer


def rung(name: str, after: str | None, value: float, replicates: list[float] | None, chain: str = "samples") -> Rung:
    kernel = {"metric": "kd_x", "reference": "train", "value": value, "low": None, "high": None, "units": 40}
    return {"name": name, "label": name, "chain": chain, "after": after, "psnr": None} | {
        "entries": [kernel | {"replicates": replicates}]
    }


def test_coarse_photographs_are_area_averages() -> None:
    image = np.zeros((1, 12, 12, 3), np.uint8)
    image[0, :, :6], image[0, :, 6:] = 40, 240
    flat = coarsened(image, 1)
    assert flat.shape == image.shape and (flat == 140).all()  # the mean of both halves
    halves = coarsened(image, 2)[0, :, :, 0]  # a bicubic curve through 40 and 240 overshoots a little
    assert halves[:, 0].mean() == pytest.approx(40, abs=25) and halves[:, -1].mean() == pytest.approx(240, abs=16)
    assert (np.diff(halves[0].astype(int)) >= 0).all()
    thirds = coarsened(np.repeat(image, 2, axis=0), 3)  # the middle pixel averages both halves
    assert thirds[1, 6, 5:7].mean() == pytest.approx(140, abs=6)


def test_photographs_at_sizes_below_their_own(pictures: np.ndarray) -> None:
    rungs = photograph_rungs(Pictures(pictures, np.repeat(np.arange(20), 2)), (96, 32, 12))
    assert [r.name for r in rungs] == ["photographs", "photographs_32", "photographs_12"]
    assert [r.after for r in rungs] == [None, "photographs", "photographs_32"]
    assert rungs[0].truth is None and rungs[2].truth is pictures
    errors = [mean_psnr(r.pictures.images, pictures) for r in rungs[1:]]
    assert 60 > errors[0] > errors[1] + 2


def test_costs_are_paired_differences() -> None:
    spread = np.linspace(-10, 10, 101)
    rungs = [
        rung("photographs", None, 3.0, list(spread)),
        rung("photographs_32", "photographs", 130.0, list(spread), "photographs"),
        rung("grids", "photographs", 40.0, list(40 + spread + np.linspace(-1, 1, 101)), "reconstructions"),
        rung("generated", "grids", 150.0, None),
        rung("fused", "generated", 120.0, None),
        rung("alone", "nowhere", 500.0, None),
    ]
    losses = losses_of(rungs)
    assert {loss["name"]: loss["value"] for loss in losses} == {
        "photographs_32": 127,
        "grids": 37,
        "generated": 110,
        "fused": -30,
    }
    grids = losses[1]
    assert 35.5 < grids["low"] < 36.5 and 37.5 < grids["high"] < 38.5  # what both share has cancelled
    assert losses[0]["low"] == losses[0]["high"] == 127 and losses[2]["low"] is None
    assert loses_most(rungs, losses) == "generated"  # not the scale of coarse photographs
    assert loses_most(rungs[:2], losses[:1]) is None
    facts = {"run": "x-y-s0", "method": "x", "category": "y", "seed": 0, "config_hash": "abc"}
    whole = ladder_of(facts, "efficientnet_lite0", rungs, [])
    assert whole["losses"] == losses and whole["loses_most"] == "generated" and whole["run"] == "x-y-s0"


def test_a_rung_is_scored_like_a_row(data: Any, tmp_path: Path) -> None:
    settings = Evaluation(
        images=16,
        feature_network="efficientnet_lite0",
        inception_weights=None,
        other_category=None,
        kernel_subset_size=100,
        kernel_subsets=5,
        reference_frames=4,
    )
    network = features.load_network("efficientnet_lite0", None, torch.device("cpu"))
    scorer = Scorer(data, network, settings, Redraws(20, 0), tmp_path)
    photographs = Pictures(data.images[32:48], np.repeat(np.arange(4), 4))
    rungs = [score_rung(r, scorer) for r in photograph_rungs(photographs, (12,))]
    assert [entry["metric"] for entry in rungs[0]["entries"]] == [
        "kd_efficientnet_lite0",
        "precision",
        "recall",
        "density",
        "coverage",
        "sharpness",
        "sharpness_outline",
    ]
    sharp, coarse = rungs
    for metric in ("sharpness", "sharpness_outline"):
        assert entry_of(coarse, metric)["value"] < 0.6 * entry_of(sharp, metric)["value"]
    assert losses_of(rungs)[0]["value"] > 0.1 and entry_of(sharp, "frechet") is None
    assert sharp["psnr"] is None and 10 < coarse["psnr"] < 40


def test_strips_hold_evenly_spaced_pictures(pictures: np.ndarray) -> None:
    strip = np.asarray(strip_of(pictures, 4))
    assert strip.shape == (48, 4 * 48, 3) and (strip[:, 48:96] == pictures[10]).all()
    assert strip_of(pictures[:2], 4).width == 96
