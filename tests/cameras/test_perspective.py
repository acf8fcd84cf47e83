"""Cameras against PyTorch3D's, which define the convention."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from holofusion.cameras import Cameras, cameras_from_json, cameras_to_json, near_origin, normalise, turntable
from holofusion.utils.files import UserError


def random_cameras(count: int, seed: int = 0) -> Cameras:
    """Cameras near the sphere of radius 4, looking roughly at the origin, principal point off centre."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    R = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator))[0]
    R = R * torch.linalg.det(R).sign()[:, None, None]
    T = torch.cat([uniform(-0.3, 0.3, count, 2), uniform(3, 5, count, 1)], dim=1)
    return Cameras(R, T, uniform(1.5, 3, count, 2), uniform(-0.3, 0.3, count, 2))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([7, 16, 33]))
def test_a_ray_meets_the_points_that_project_to_its_pixel(seed: int, size: int) -> None:
    cameras = random_cameras(3, seed)
    origins, directions = cameras.rays(size)
    assert torch.allclose(directions.norm(dim=-1), torch.ones(()), atol=1e-5)
    assert torch.allclose(origins[:, 0], cameras.centers(), atol=1e-5)
    ndc, depth = cameras.project(origins + 2.5 * directions)
    pixels = (1 - ndc) * size / 2
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    expected = torch.stack([column, row], dim=-1).reshape(-1, 2) + 0.5
    assert (depth > 0).all()
    assert torch.allclose(pixels, expected.expand_as(pixels), atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_projection_is_pytorch3ds(seed: int) -> None:
    cameras, size = random_cameras(4, seed), 40
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed)) * 0.5
    ndc, depth = cameras.project(points)
    theirs = cameras.to_pytorch3d(size)
    assert torch.allclose(ndc, theirs.transform_points_ndc(points)[..., :2], atol=1e-5)
    assert torch.allclose(depth, theirs.get_world_to_view_transform().transform_points(points)[..., 2], atol=1e-5)
    assert torch.allclose(cameras.centers(), theirs.get_camera_center(), atol=1e-5)
    screen = theirs.transform_points_screen(points, image_size=((size, size),))[..., :2]
    assert torch.allclose((1 - ndc) * size / 2, screen, atol=1e-3)


def test_rays_are_pytorch3ds_pixel_centre_rays() -> None:
    from pytorch3d.renderer import NDCMultinomialRaysampler

    cameras, size = random_cameras(2), 9
    sampler = NDCMultinomialRaysampler(image_width=size, image_height=size, n_pts_per_ray=1, min_depth=1, max_depth=1)
    bundle = sampler(cameras.to_pytorch3d(size))
    origins, directions = cameras.rays(size)
    theirs = torch.nn.functional.normalize(bundle.directions.reshape(2, -1, 3), dim=-1)
    assert torch.allclose(directions, theirs, atol=1e-5)
    assert torch.allclose(origins, bundle.origins.reshape(2, -1, 3), atol=1e-5)


def test_chosen_pixels_give_the_same_rays_as_all_pixels() -> None:
    cameras, size = random_cameras(2), 8
    every = cameras.rays(size)[1]
    shared = torch.tensor([0, 9, 63])
    # not bit for bit: on some CPUs the last bit of the product with R depends on how many rays there are
    assert torch.allclose(cameras.rays(size, shared)[1], every[:, shared], rtol=0, atol=1e-6)
    own = torch.tensor([[1, 2], [62, 5]])
    chosen = torch.stack([every[0, own[0]], every[1, own[1]]])
    assert torch.allclose(cameras.rays(size, own)[1], chosen, rtol=0, atol=1e-6)


def test_points_may_differ_per_camera_and_carry_gradients() -> None:
    cameras = random_cameras(2)
    points = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    ndc, _ = cameras.project(points)
    assert torch.allclose(ndc[1], cameras[1].project(points[1])[0][0], atol=1e-6)
    ndc.sum().backward()
    assert points.grad is not None and torch.isfinite(points.grad).all()


def test_normalised_cameras_take_the_same_pictures() -> None:
    cameras, points = random_cameras(3), torch.randn(10, 3) * 0.5
    center = torch.tensor([0.4, -1.0, 2.0])
    moved = normalise(cameras, center, 1.7)
    assert torch.allclose(cameras.project(points)[0], moved.project((points - center) / 1.7)[0], atol=1e-4)


def test_turntable_is_pytorch3ds_orbit() -> None:
    from pytorch3d.renderer import look_at_view_transform

    ours = turntable(12, 20.0, 4.0, 2.5)
    R, T = look_at_view_transform(4.0, 20.0, torch.arange(12) * 30.0)
    assert torch.allclose(ours.R, R, atol=1e-5) and torch.allclose(ours.T, T, atol=1e-5)


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (1.0, -2.0, 0.5), (0.0, -1.0, 0.0)])
def test_turntable_turns_around_any_axis(up: tuple[float, float, float]) -> None:
    cameras = turntable(8, 30.0, 3.0, 2.0, up=up)
    axis = torch.nn.functional.normalize(torch.tensor(up), dim=0)
    assert torch.allclose(cameras.centers() @ axis, torch.full((8,), 1.5), atol=1e-5)
    assert torch.allclose(cameras.project(torch.zeros(1, 3))[0], torch.zeros(8, 1, 2), atol=1e-6)
    assert torch.allclose(torch.linalg.det(cameras.R), torch.ones(8), atol=1e-5)
    assert (cameras.project(0.1 * axis[None])[0][..., 1] > 0).all()


def test_json_keeps_every_bit() -> None:
    cameras = random_cameras(5)
    again = cameras_from_json(cameras_to_json(cameras))
    assert all(torch.equal(getattr(cameras, name), getattr(again, name)) for name in ("R", "T", "focal", "principal"))
    assert len(cameras_from_json([])) == 0


@pytest.mark.parametrize("value", [None, "wide", [1.0], [1.0, 2.0, 3.0, 4.0]])
def test_json_without_a_proper_focal_length_is_refused(value: object) -> None:
    entries = cameras_to_json(random_cameras(1))
    entries[0]["focal_length"] = value
    with pytest.raises(UserError, match="focal_length"):
        cameras_from_json(entries)


def test_indexing_and_joining() -> None:
    cameras = random_cameras(4)
    assert len(cameras) == 4 and len(cameras[2]) == 1 and len(cameras[1:]) == 3
    again = Cameras.cat([cameras[:1], cameras[torch.tensor([1, 2])], cameras[-1]])
    assert torch.equal(again.R, cameras.R) and torch.equal(again.principal, cameras.principal)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="focal"):
        Cameras(torch.eye(3)[None], torch.zeros(1, 3), torch.ones(1), torch.zeros(1, 2))


def test_wrong_torch_is_named_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer", ModuleType("pytorch3d.renderer"))  # does not import whole
    with pytest.raises(UserError, match=r"torch==2\.12\.0"):
        random_cameras(1).to_pytorch3d(8)


def test_absent_pytorch3d_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer", None)
    with pytest.raises(UserError, match=r"holofusion\[get3d\]"):
        random_cameras(1).to_pytorch3d(8)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e7])
@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (500000.0, 4200000.0, 150.0), (-1e9, 0.0, 0.0)])
def test_far_huge_and_tiny_worlds_come_near_without_loss(unit: float, place: tuple[float, float, float]) -> None:
    near = turntable(6, 20.0, 4.0, 2.0)
    near = Cameras(*(getattr(near, name).double() for name in ("R", "T", "focal", "principal")))
    origin = torch.tensor(place, dtype=torch.float64)
    cameras = Cameras(near.R, unit * near.T - (origin * unit) @ near.R, near.focal, near.principal)
    moved, world = near_origin(cameras)
    point = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64)
    outer = unit * (point[0] + origin)
    inner = (outer - torch.tensor(world.origin, dtype=torch.float64)) / world.unit
    assert moved.T.dtype == torch.float32 and moved.T.abs().max() < 1e3
    expected = near.project(point)[0]
    assert torch.allclose(moved.project(inner[None].float())[0].double(), expected, atol=1e-4)
    back, length = world.outer(inner.tolist(), 1.0)
    assert back == pytest.approx(outer.tolist(), rel=1e-12, abs=1e-12) and length == world.unit


def test_ordinary_worlds_are_left_as_they_are() -> None:
    cameras = turntable(6, 20.0, 4.0, 2.0)
    moved, world = near_origin(Cameras(*(getattr(cameras, n).double() for n in ("R", "T", "focal", "principal"))))
    assert world.unit == 1.0 and world.origin == (0.0, 0.0, 0.0) and torch.equal(moved.T, cameras.T)


def test_a_world_too_far_for_numbers_is_said() -> None:
    cameras = turntable(6, 20.0, 4.0, 2.0)
    double = Cameras(*(getattr(cameras, name).double() for name in ("R", "T", "focal", "principal")))
    with pytest.raises(UserError, match="double precision does not tell them apart"):
        near_origin(normalise(double, [1e12, 0.0, 0.0], 1.0))
