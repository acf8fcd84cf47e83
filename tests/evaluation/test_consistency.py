"""View consistency on a ball whose every view is known in closed form: solid, edited view by view, flat, or fog."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holofusion.cameras import Cameras
from holofusion.config.evaluation import Consistency
from holofusion.evaluation.consistency import depth_scores, held_out_scores, psnr_and_ssim
from holofusion.evaluation.static_field import fit, render
from holofusion.evaluation.warp import depth_warp
from tests.balls import RADIUS, SIZE, VIEWS, ball_views

SETTINGS = Consistency(steps=80, rays=256, resolution=24, samples=12, learning_rate=0.3)


@pytest.fixture(scope="module")
def ball() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Cameras]:
    return ball_views()


def edited(pictures: torch.Tensor, alpha: torch.Tensor, strength: float) -> torch.Tensor:
    """The pictures with a pattern of colours of each view's own."""
    pattern = torch.randn((len(pictures), 3, 6, 6), generator=torch.Generator().manual_seed(1))
    pattern = torch.nn.functional.interpolate(pattern, (SIZE, SIZE), mode="bicubic")
    return (pictures + strength * pattern * alpha[:, None]).clamp(0, 1)


@pytest.mark.slow
def test_score_falls_with_the_strength_of_disagreement(ball: tuple) -> None:
    pictures, alpha, _, cameras = ball
    found = [held_out_scores(edited(pictures, alpha, s), cameras, SETTINGS, 0) for s in (0.0, 0.05, 0.12, 0.3)]
    psnr, ssim = ([each[name] for each in found] for name in ("consistency_psnr", "consistency_ssim"))
    assert psnr == sorted(psnr, reverse=True) and ssim == sorted(ssim, reverse=True)
    assert psnr[0] - psnr[-1] > 6
    # the ceiling: what the field makes of the views that it has seen
    even = cameras[range(0, VIEWS, 2)]
    field = fit(pictures[::2], even, SETTINGS, 0)
    ceiling = psnr_and_ssim(render(field, even, SIZE, 2 * SETTINGS.samples)[0], pictures[::2])[0]
    assert ceiling - 3 < psnr[0] < ceiling + 1
    assert held_out_scores(pictures, cameras, SETTINGS, 0) == found[0]


def test_views_that_are_scored_are_not_fitted(ball: tuple) -> None:
    pictures, _, _, cameras = ball
    other = pictures.clone()
    other[1::2] = other[1::2].flip(1)  # red and blue change places in the odd views alone
    right, wrong = (held_out_scores(each, cameras, SETTINGS, 0)["consistency_psnr"] for each in (pictures, other))
    assert wrong < right - 4


def test_agreement_is_over_the_object_alone() -> None:
    white, first = torch.ones((1, 3, 20, 20)), torch.ones((1, 3, 20, 20))
    first[..., 5:10, 5:10] = 0.5
    second = first.clone()
    second[..., 5:10, 5:10] = 0.6
    assert psnr_and_ssim(first, second)[0] == pytest.approx(20.0, abs=1e-4)  # an error of 0.1 on every pixel of it
    assert psnr_and_ssim(first, white)[0] == pytest.approx(
        -10 * np.log10(0.25), abs=1e-4
    )  # nothing there: not a good score
    assert psnr_and_ssim(first, first) == (60.0, pytest.approx(1.0))
    assert psnr_and_ssim(white, white) == (0.0, 0.0)


def test_depth_warp_is_small_on_the_solid_ball_alone(ball: tuple) -> None:
    pictures, alpha, depth, cameras = ball
    error, share = depth_warp(pictures, alpha, depth, cameras)
    assert error < 0.02 and 0.4 < share < 1
    errors = [depth_warp(edited(pictures, alpha, s), alpha, depth, cameras)[0] for s in (0.0, 0.05, 0.15)]
    assert errors[0] == error and errors == sorted(errors) and errors[2] > 5 * error
    wrong = torch.where(alpha > 0, torch.full_like(depth, 4.0), depth)  # a card through the middle
    flat, seen = depth_warp(pictures, alpha, wrong, cameras)
    assert flat > 3 * error or seen < 0.2


def test_flat_cards_and_fog_show(ball: tuple) -> None:
    pictures, alpha, depth, cameras = ball
    solid = depth_scores(pictures, alpha, depth, cameras)
    assert 0.05 < solid["depth_spread"] < RADIUS and solid["translucency"] == 0
    flat = depth_scores(pictures, alpha, torch.where(alpha > 0, torch.full_like(depth, 4.0), depth), cameras)
    assert flat["depth_spread"] < 1e-5
    fog = depth_scores(pictures, alpha * 0.5, depth, cameras)
    assert fog["translucency"] == pytest.approx(1.0)
    half = torch.tensor([[[1.0, 1.0], [0.9, 0.0]]])
    hand = depth_scores(torch.ones((1, 3, 2, 2)), half, torch.tensor([[[1.0, 2.0], [3.0, 0.0]]]), cameras[0])
    assert hand["depth_spread"] == pytest.approx(1.0) and hand["translucency"] == pytest.approx(0.36 / 3)
