"""Unprojection: against a ball whose colours are known everywhere, against PyTorch3D's cameras, and one worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from holofusion.cameras import Cameras, turntable
from holofusion.rendering.unprojection import Depths, Observations, in_picture, look_up, unproject
from tests.balls import RADIUS, SIZE, VIEWS, ball_views

MOST = 4


def on_ball(count: int) -> torch.Tensor:
    """Unit normals of places on the ball."""
    return F.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(0)), dim=1)


@pytest.fixture(scope="module")
def seen() -> tuple[torch.Tensor, Cameras, Observations]:
    """Normals of places on the ball, its cameras, and what the views show: twice each, the second time all darker."""
    pictures, hit, distance, cameras = ball_views()
    normals = on_ball(600)
    twice = torch.stack([pictures, 0.5 * pictures], 1)
    depths = Depths(cameras, hit[:, None], distance[:, None])
    return normals, cameras, unproject(RADIUS * normals, normals, twice, depths, MOST, 0.1)


def test_places_are_those_of_pytorch3d() -> None:
    pytest.importorskip("pytorch3d")
    camera = turntable(7, 25.0, 4.0, 3.0)[2]
    points = 0.9 * on_ball(50)
    theirs = camera.to_pytorch3d(64).transform_points_screen(points)[..., :2].reshape(-1, 2)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    # a picture that shows its own coordinates, whose pixel centres lie at halves
    found = look_up(torch.stack([columns, rows]), in_picture(camera, points))
    torch.testing.assert_close(found, theirs - 0.5, atol=2e-3, rtol=0)


def test_a_camera_worked_out_by_hand() -> None:
    """At z = -4, looking along +z: x is to the left, y up. What is behind it is nowhere."""
    camera = Cameras(torch.eye(3)[None], torch.tensor([[0.0, 0.0, 4.0]]), torch.full((1, 2), 2.0), torch.zeros(1, 2))
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, -2], [0, 0, -5]])
    places = in_picture(camera, points)
    assert places[:3].tolist() == [[0.0, 0.0], [-0.5, 0.0], [0.0, -1.0]]
    assert look_up(torch.ones(1, 8, 8), places)[3] == 0


def test_colours_are_those_of_the_places(seen: tuple[torch.Tensor, Cameras, Observations]) -> None:
    normals, _, views = seen
    exact = 0.5 + 0.35 * torch.sin(5 * RADIUS * normals + torch.tensor([0.0, 1.0, 2.0]))
    steep = views.seen & (views.cosine > 0.5)  # a pixel from the outline, where colours are half white
    error = (views.values.float() - exact[:, None, None] * torch.tensor([1.0, 0.5])[:, None]).abs()[steep]
    assert float(error.mean()) < 0.01 and float(error.max()) < 0.06  # a pixel too far would be 0.1
    assert float(views.gap[steep].abs().mean()) < 0.01
    assert (views.values[~views.seen] == 0).all() and (views.gap[~views.seen] == 0).all()


def test_the_views_are_those_that_see_a_place_best(seen: tuple[torch.Tensor, Cameras, Observations]) -> None:
    normals, cameras, views = seen
    towards = F.normalize(cameras.centers() - RADIUS * normals[:, None], dim=2)
    cosines = (towards * normals[:, None]).sum(2).sort(1, descending=True).values
    steep = cosines[:, MOST - 1] > 0.3  # all MOST see it well: no doubt about what lies at the outline
    assert steep.sum() > 200
    torch.testing.assert_close(views.cosine[steep], cosines[steep, :MOST])
    assert views.seen[steep].all()


def test_the_far_side_and_what_is_far_from_the_surface_are_not_seen() -> None:
    pictures, hit, distance, cameras = ball_views()
    depths = Depths(cameras[0], hit[:1, None], distance[:1, None])
    front = F.normalize(cameras.centers()[:1], dim=1)
    points = torch.cat([RADIUS * front, -RADIUS * front, 1.4 * RADIUS * front, 0.95 * RADIUS * front])
    normals = torch.cat([front, -front, front, front])
    views = unproject(points, normals, pictures[:1, None], depths, VIEWS, 0.1)
    assert views.seen.flatten().tolist() == [True, False, False, True]
    assert views.gap[3].item() == pytest.approx(0.05 * RADIUS, abs=0.005)
    part = views[torch.tensor([3, 0])]
    assert torch.equal(part.values, views.values[[3, 0]]) and part.seen.all()


def test_outlines_do_not_pull_depths_to_the_background() -> None:
    """A disc at distance 2 that ends in the middle of the picture: right beside its end the distance is still 2."""
    alpha = torch.zeros(1, 1, SIZE, SIZE)
    alpha[..., : SIZE // 2] = 1
    camera = Cameras(torch.eye(3)[None], torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 2), torch.zeros(1, 2))
    points = torch.tensor([[0.001, 0.0, 0.0]])
    depths = Depths(camera, alpha, 2 * alpha)
    views = unproject(points, -torch.eye(3)[2:], torch.ones(1, 1, 3, SIZE, SIZE), depths, 1, 0.1)
    assert views.seen.all() and views.gap.abs().item() < 1e-3
    nothing = unproject(
        points, -torch.eye(3)[2:], torch.ones(1, 1, 3, SIZE, SIZE), replace(depths, alpha=0 * alpha), 1, 0.1
    )
    assert not nothing.seen.any()
