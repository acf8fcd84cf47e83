"""Ray marching against PyTorch3D's marcher, and against closed forms."""

import math

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.rendering.occupancy import Occupancy
from holofusion.rendering.rays import Rays
from holofusion.rendering.volume import (
    absorption_weights,
    composite,
    importance_depths,
    render_rays,
    stratified_depths,
)


class Analytic:
    """A field of one member that knows nothing of empty space."""

    occupancy, sees_directions, channels, extent = None, False, 3, 1.0

    def __init__(self, function=None):
        self.function = function

    def query(self, points, directions=None, member=None):
        return self.function(points)


def test_march_equals_pytorch3d():
    marcher = pytest.importorskip("pytorch3d.renderer").EmissionAbsorptionRaymarcher()
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(2, 7, 20, generator=generator) * 8
    colour = torch.rand(2, 7, 20, 3, generator=generator)
    depths = torch.rand(2, 7, 20, generator=generator).sort(-1).values + 1
    far = depths[..., -1] + 0.1
    ours = composite(density, colour, depths, far)
    opacity = 1 - torch.exp(-density * (torch.cat([depths[..., 1:], far[..., None]], -1) - depths))
    theirs = marcher(opacity[..., None], colour)
    white = theirs[..., :3] + (1 - theirs[..., 3:])
    assert torch.allclose(ours.rgb, white, atol=1e-5)
    assert torch.allclose(ours.alpha, theirs[..., 3], atol=1e-5)


def test_homogeneous_cube_absorbs_by_beer_lambert():
    origins = torch.tensor([[[0.0, 0.0, -3.0], [5.0, 5.0, -3.0]]])
    directions = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])

    field = Analytic(lambda points: (torch.full(points.shape[:1], 0.7), torch.zeros_like(points)))
    rendered = render_rays(field, Rays(origins, directions), 400, 0)
    assert rendered.alpha[0, 0].item() == pytest.approx(1 - math.exp(-0.7 * 2), abs=2e-3)
    assert rendered.rgb[0, 0, 0].item() == pytest.approx(math.exp(-0.7 * 2), abs=2e-3)
    assert rendered.alpha[0, 1].item() == 0.0
    assert torch.equal(rendered.rgb[0, 1], torch.ones(3))


def test_importance_samples_find_a_thin_wall_and_its_depth():
    origins = torch.tensor([[[0.0, 0.0, -3.0]]])
    directions = torch.tensor([[[0.0, 0.0, 1.0]]])

    def wall_at(points):
        wall = (points[..., 2].abs() < 0.06).float()
        return 60 * wall, wall[..., None].expand(*wall.shape, 3) * torch.tensor([1.0, 0.0, 0.0])

    rendered = render_rays(Analytic(wall_at), Rays(origins, directions), 24, 16)
    assert rendered.depth[0, 0].item() == pytest.approx(2.94, abs=0.08)
    assert rendered.alpha[0, 0].item() > 0.95
    assert rendered.rgb[0, 0].tolist() == pytest.approx([1.0, 0.0, 0.0], abs=0.05)


class Ball(Analytic):
    """Of radius 1/2, half transparent, coloured by place."""

    def query(self, points, directions=None, member=None):
        return 3 * (points.norm(dim=-1) < 0.5).float(), points.abs()


class BallOccupancy(Occupancy):
    """Space outside of radius 0.6 is empty, to the point."""

    def __init__(self, skips=True):
        self.skips, self.box = skips, (torch.full((3,), -0.6), torch.full((3,), 0.6))

    def contains(self, *places):
        return torch.stack(places).norm(dim=0) < 0.6


class KnownBall(Ball):
    """It knows its empty space, and remembers where it was asked for."""

    def __init__(self, skips=True):
        self.asked, self.occupancy = [], BallOccupancy(skips)

    def query(self, points, directions=None, member=None):
        self.asked.append(points)
        return super().query(points)


def rays_from_the_front():
    generator = torch.Generator().manual_seed(1)
    aside = 0.3 * torch.randn(1, 50, 2, generator=generator)
    directions = torch.nn.functional.normalize(torch.cat([aside, torch.ones(1, 50, 1)], -1), dim=-1)
    return Rays(torch.tensor([0.0, 0.0, -3.0]).expand(1, 50, 3), directions)


def test_few_samples_where_space_is_occupied_show_what_many_everywhere_do():
    field, rays = KnownBall(), rays_from_the_front()
    many, few = render_rays(Ball(), rays, 600, 0), render_rays(field, rays, 60, 0)
    everywhere = render_rays(Ball(), rays, 60, 0)
    assert 5 < (many.alpha > 0.5).sum() < 45
    assert all((points.norm(dim=-1) < 0.6).all() for points in field.asked)
    error = (few.rgb - many.rgb).abs().mean()
    assert error < 5e-3 and error < 0.5 * (everywhere.rgb - many.rgb).abs().mean()
    seen = many.alpha > 0.5
    assert torch.allclose(few.depth[seen], many.depth[seen], atol=0.03)


@pytest.mark.parametrize("aside", [0.0, 5.0])
def test_rays_that_meet_nothing_are_white(aside):
    rays, field = rays_from_the_front(), KnownBall()
    if not aside:  # nothing is there, though the rays cross the box
        field.occupancy.contains = lambda *places: torch.zeros_like(places[0], dtype=torch.bool)
    moved = Rays(rays.origins + torch.tensor([aside, 0.0, 0.0]), rays.directions)
    rendered = render_rays(field, moved, 8, 4)
    assert (rendered.rgb == 1).all() and not rendered.alpha.any() and not rendered.depth.any()


def test_rays_of_a_batch_are_those_of_its_members():
    rays = rays_from_the_front()
    alone = render_rays(KnownBall(), rays, 24, 16)
    both = render_rays(KnownBall(), Rays(rays.origins.repeat(2, 1, 1), rays.directions.repeat(2, 1, 1)), 24, 16)
    for part in ("rgb", "alpha", "depth"):
        # not bit for bit: rays are twice as many, and on some CPUs vector units and rests of loops round differently
        assert torch.allclose(getattr(both, part)[1:], getattr(alone, part), atol=1e-6)


def test_occupied_interval_holds_the_occupied_points_tightly():
    rays = rays_from_the_front()
    origins, directions = rays.origins, rays.directions
    begin, end = BallOccupancy().interval(rays)
    # distances at which a ray enters and leaves the ball of radius 0.6 around the origin
    along = -(origins * directions).sum(-1)
    half = (0.36 - (origins.square().sum(-1) - along.square())).clamp_min(0).sqrt()
    met = end > begin
    step = 1.3 / 32
    assert torch.equal(met[half > step], torch.ones_like(met[half > step])) and not met[half == 0].any()
    assert ((begin - (along - half)).abs()[met] < 1.5 * step).all() and (
        (end - (along + half)).abs()[met] < 1.5 * step
    ).all()


def test_cube_interval_and_depths():
    near, far = Rays(torch.tensor([[[0.0, 0.0, -3.0]]]), torch.tensor([[[0.0, 0.0, 1.0]]])).cube_interval(0.5)
    assert (near.item(), far.item()) == (2.5, 3.5)
    assert stratified_depths(near, far, 4, None)[0, 0].tolist() == [2.625, 2.875, 3.125, 3.375]
    drawn = stratified_depths(near, far, 4, torch.Generator().manual_seed(0))[0, 0]
    assert all(2.5 + i / 4 <= value <= 2.75 + i / 4 for i, value in enumerate(drawn.tolist()))


def test_importance_depths_follow_the_weights():
    depths = torch.linspace(0, 1, 11).reshape(1, 1, 11)
    weights = torch.zeros(1, 1, 11)
    weights[..., 4] = 1.0
    drawn = importance_depths(depths, weights, 64, torch.Generator().manual_seed(0))
    assert ((drawn > 0.34) & (drawn < 0.46)).float().mean() > 0.95


def test_weights_sum_to_at_most_one():
    weights = absorption_weights(torch.rand(5, 30, generator=torch.Generator().manual_seed(0)))
    assert (weights >= 0).all()
    assert (weights.sum(-1) <= 1 + 1e-6).all()


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_any_number_of_features_is_rendered_wherever_space_is_known_to_be_empty(channels):
    class Features(KnownBall):
        def query(self, points, directions=None, member=None):
            density, colour = super().query(points)
            return density, colour[:, :1].expand(-1, channels)

    field = Features()
    field.channels = channels
    rendered = render_rays(field, rays_from_the_front(), 16, 4)
    assert rendered.rgb.shape == (1, 50, channels)
    plain = render_rays(KnownBall(), rays_from_the_front(), 16, 4)
    torch.testing.assert_close(rendered.rgb, plain.rgb[..., :1].expand(-1, -1, channels), rtol=0, atol=1e-6)


def test_a_field_that_sees_directions_is_given_those_of_its_rays():
    class Seeing(KnownBall):
        sees_directions = True

        def query(self, points, directions=None, member=None):
            # a ray starts at (0, 0, -3), so that its points tell its direction
            expected = torch.nn.functional.normalize(points + torch.tensor([0.0, 0.0, 3.0]), dim=-1)
            torch.testing.assert_close(directions, expected, rtol=0, atol=1e-4)
            return super().query(points)

    for skips in (True, False):
        field = Seeing(skips)
        render_rays(field, rays_from_the_front(), 16, 4)
        assert sum(len(points) for points in field.asked) > 100


def test_an_occupancy_that_does_not_skip_only_shortens_rays():
    field, rays = KnownBall(skips=False), rays_from_the_front()
    field.occupancy.contains = lambda *places: (torch.stack(places).norm(dim=0) < 0.6) & (places[2].abs() > 0.2)
    render_rays(field, rays, 16, 0)
    assert any((points[:, 2].abs() < 0.2).any() for points in field.asked)
    assert all((points.norm(dim=-1) < 0.7).all() for points in field.asked)


def test_points_of_rays_are_the_same_as_triples_and_as_rows():
    rays, depths = rays_from_the_front(), torch.rand(1, 50, 6, generator=torch.Generator().manual_seed(0)) * 4
    rows = torch.stack(rays.coordinates_at(depths), -1).reshape(1, 50, 6, 3)
    # not bit for bit: `addcmul` may be a fused multiply-add, which rounds once where product and sum round twice
    torch.testing.assert_close(rows, rays.at(depths), rtol=0, atol=1e-6)
    assert torch.equal(rays.at(depths)[0, 7, 3], rays.origins[0, 7] + depths[0, 7, 3] * rays.directions[0, 7])


def test_mixed_precision_turns_no_ray():
    cameras = turntable(2, 20.0, 5.0, 2.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = Rays.through(cameras, 16)
    assert torch.equal(inside.directions, Rays.through(cameras, 16).directions)
