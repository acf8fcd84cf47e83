"""GRAF's patches: where the lattice lies, what real patches show, the schedule of scales, and the codes of its scenes."""

import math

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.data.batches import draw_batch
from holofusion.data.prepared import PreparedCategory
from holofusion.methods.base import TrainingInputs, construct
from holofusion.methods.graf import Graf, patch_cameras, random_lattices, sample_patches
from holofusion.pipeline.checks import load_params
from holofusion.pipeline.resolve import settings_for
from holofusion.rendering.rays import Rays
from holofusion.scenes.base import SampleRequest
from holofusion.utils.files import UserError
from holofusion.utils.random import generator_for
from tests.sections import sections

WHOLE = torch.tensor([1.0]), torch.zeros(1, 2)


def method(**changes) -> Graf:
    torch.manual_seed(0)
    known = sections()
    return construct(Graf, {**known, "graf": known["graf"].model_copy(update=changes)})


def gradient(side: int) -> torch.Tensor:
    """A picture whose first channel is the column's place in [-1, 1], and its second the row's, at the pixels' middles."""
    middle = (torch.arange(side) + 0.5) / side * 2 - 1
    rows, columns = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack([columns, rows, torch.zeros_like(rows)])[None]


def test_a_lattice_of_scale_one_is_the_pixels_of_a_picture():
    camera = turntable(3, 20.0, 4.0, 3.0)[1]
    rays, whole = Rays.through(patch_cameras(camera, *WHOLE), 16), Rays.through(camera, 16)
    torch.testing.assert_close(rays.directions, whole.directions)
    torch.testing.assert_close(rays.origins, whole.origins)
    picture = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(sample_patches(picture, *WHOLE, 16), picture)


def test_a_quarter_is_the_pixels_of_that_part_of_a_finer_picture():
    """The lower left quarter of a side, by 16 px, is a block of pixels of the picture at 64 px, rays and colours alike."""
    camera, picture = turntable(3, 20.0, 4.0, 3.0)[2], torch.rand(1, 3, 64, 64)
    lattice = torch.tensor([0.25]), torch.tensor([[-0.75, 0.75]])
    torch.testing.assert_close(sample_patches(picture, *lattice, 16), picture[:, :, 48:, :16])
    block = (torch.arange(48, 64)[:, None] * 64 + torch.arange(16)).flatten()
    expected = Rays.through(camera, 64, block)
    torch.testing.assert_close(Rays.through(patch_cameras(camera, *lattice), 16).directions, expected.directions)


@pytest.mark.parametrize(("scale", "shift"), [(0.5, (0.3, -0.2)), (0.25, (0.0, 0.6)), (0.8, (-0.1, 0.15))])
def test_a_patch_of_a_gradient_has_the_gradient_s_values(scale, shift):
    patch = sample_patches(gradient(64), torch.tensor([scale]), torch.tensor([shift]), 8)[0]
    for index in range(8):
        place = scale * ((index + 0.5) / 8 * 2 - 1)
        torch.testing.assert_close(patch[0, :, index], torch.full((8,), place + shift[0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(patch[1, index], torch.full((8,), place + shift[1]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("scale", "shift"), [(0.5, (0.3, -0.2)), (0.8, (-0.1, 0.15))])
def test_rays_and_real_patches_are_of_the_same_places(scale, shift):
    """A point on each ray lands, in the whole picture, where the real patch was sampled."""
    camera = turntable(5, 15.0, 4.0, 3.0)[3]
    camera = type(camera)(camera.R, camera.T, camera.focal * torch.tensor([1.0, 1.1]), camera.principal + 0.07)
    lattice = torch.tensor([scale]), torch.tensor([shift])
    rays = Rays.through(patch_cameras(camera, *lattice), 8)
    ndc, _ = camera.project(rays.origins + 3.3 * rays.directions)
    sampled = sample_patches(gradient(64), *lattice, 8)[0, :2].flatten(1).T
    torch.testing.assert_close(-ndc[0], sampled, atol=1e-4, rtol=0)


@pytest.mark.parametrize("smallest", [0.25, 0.9, 1.0])
def test_random_lattices_stay_within_the_picture(smallest):
    scale, shift = random_lattices(4000, smallest, generator_for("lattices"))
    assert scale.min() >= smallest and scale.max() <= 1
    assert (shift.abs() + scale[:, None] <= 1 + 1e-6).all()
    if smallest < 1:
        assert scale.mean() == pytest.approx((1 + smallest) / 2, abs=0.01)
        assert (shift.amax(0) > 0.5 * (1 - smallest)).all() and (shift.amin(0) < -0.5 * (1 - smallest)).all()
        torch.testing.assert_close(shift.mean(0), torch.zeros(2), atol=0.02, rtol=0)
    else:
        assert (scale == 1).all() and (shift == 0).all()


@pytest.mark.parametrize(
    ("step", "scale"),
    # of 2000 steps, each stands for 100 published iterations: a fall by exp(-0.0075) every 10 steps, below 0.9 after 150
    [(0, 0.9), (140, 0.9), (150, 0.8936), (159, 0.8936), (160, 0.8869), (1000, 0.4724), (1840, 0.2516), (1850, 0.25)],
)
def test_the_smallest_scale_falls_by_the_published_schedule(step, scale):
    graf = method(steps=2000, scale_start=0.9, scale_end=0.25)
    assert graf.smallest_scale(step) == pytest.approx(scale, abs=5e-5)


def test_the_schedule_scales_with_the_steps():
    short, long = (method(steps=steps, scale_start=0.9, scale_end=0.25) for steps in (200, 20000))
    for share in (0.0, 0.1, 0.5, 0.9, 0.995):
        assert short.smallest_scale(round(200 * share)) == long.smallest_scale(round(20000 * share))


def test_whole_images_are_never_cut(project):
    params = load_params(project / "params.yaml")
    section = settings_for(params, "graf_whole")["graf"]
    whole = method(**{key: section[key] for key in ("scale_start", "scale_end")})
    assert {whole.smallest_scale(step) for step in range(whole.steps)} == {1.0}
    assert section["patch"] == section["image_size"]
    assert section["width"] == params.graf.width and section["steps"] != params.graf.steps


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        (
            "graf_whole.graf.patch",
            64,
            "graf_whole.graf.patch: 64 is not valid; it should be at most graf.image_size, which is 32",
        ),
        ("graf.patch", 12, "graf.patch: 12 is not valid; it should be a power of 2"),
        (
            "graf.scale_end",
            0.95,
            "graf.scale_end: 0.95 is not valid; it should be at most graf.scale_start, which is 0.9",
        ),
    ],
)
def test_impossible_patches_are_refused(project, edit, key, value, fault):
    edit(project, methods=["graf", "graf_whole"], **{key: value})
    with pytest.raises(UserError, match=fault.replace(".", r"\.")):
        load_params(project / "params.yaml")


def test_a_scene_s_surface_is_of_its_shape_alone():
    graf, points = method(), torch.rand(200, 3) * 2 - 1
    scene = graf.sample(SampleRequest(0))
    repainted = type(scene)(graf.network, scene.field.shape, scene.field.appearance + 1, scene.facts)
    assert torch.equal(scene.density(points), repainted.density(points))
    assert not torch.equal(scene.colour(points), repainted.colour(points))
    other = graf.sample(SampleRequest(1))
    assert not torch.equal(scene.field.shape, other.field.shape)
    assert not torch.equal(scene.field.appearance, other.field.appearance)


@pytest.mark.parametrize("changes", [{}, {"patch": 16, "scale_start": 1.0, "scale_end": 1.0}])
def test_a_step_reaches_all_of_both_players_and_its_fakes_are_seen_from_training_cameras(
    prepared_smoke, monkeypatch, changes
):
    data, graf = PreparedCategory.load(prepared_smoke), method(**changes)
    graf.prepare(TrainingInputs(data))
    drawn = []
    monkeypatch.setattr(
        "holofusion.methods.graf.patch_cameras",
        lambda cameras, scale, shift: drawn.append((cameras, scale)) or patch_cameras(cameras, scale, shift),
    )
    generator = generator_for("train")
    batch = draw_batch(data, graf.objects_per_batch, 1, generator, torch.device("cpu"))
    losses = graf.training_step(batch, 0, generator)
    losses["loss"].backward()
    assert math.isfinite(losses["r1"].detach())
    for name, value in graf.named_parameters():
        if not name.startswith("discriminator.entries.1"):  # of smaller images
            assert value.grad is not None and torch.isfinite(value.grad).all() and value.grad.abs().max() > 0, name
    ((cameras, scale),) = drawn
    train = data.cameras[[row for name in data.train for row in data.frames[name]]]
    for index in range(len(cameras)):
        alike = (train.R == cameras.R[index]).all((1, 2)) & (train.focal == cameras.focal[index]).all(1)
        assert alike.any()
    assert len(scale.unique()) == (1 if changes else graf.objects_per_batch)
