"""Grids fitted to photographs: of a known object, from sides that were not seen."""

from __future__ import annotations

import pytest
import torch

from holofusion.config.codes import Reconstruction
from holofusion.data.prepared import PreparedCategory
from holofusion.reconstruction import objects
from holofusion.reconstruction.fit import reconstruct
from holofusion.reconstruction.objects import read_grids, reconstruct_objects
from holofusion.reconstruction.photographs import Photographs
from holofusion.rendering.plain import PlainField, occupied
from holofusion.rendering.views import render_field
from holofusion.utils.files import UserError

SECTION = Reconstruction(
    resolution=16, free_steps=80, tuned_steps=60, rays=256, samples=12, free_rate=0.3, tuned_rate=0.2
)


@pytest.fixture(scope="module")
def data(prepared_smoke) -> PreparedCategory:
    return PreparedCategory.load(prepared_smoke)


def test_a_grid_shows_a_photograph_that_it_was_not_fitted_to(data):
    name = data.train[0]
    images, masks, cameras = data.batch(data.frames[name])
    fits = reconstruct(Photographs(images[1:], masks[1:], cameras[1:]), SECTION, name)
    seen = render_field(PlainField.skipping(fits.tuned[None]), cameras[0], images.shape[-1], (24, 0))
    error = (seen.rgb - images[:1]).square().mean()
    assert error < 0.6 * (1 - images[:1]).square().mean()  # against white
    overlap = ((seen.alpha > 0.5) & (masks[:1] > 0.5)).sum() / ((seen.alpha > 0.5) | (masks[:1] > 0.5)).sum()
    assert overlap > 0.6
    assert fits.tuned[0].abs().max() <= 8 and fits.tuned[1:].abs().max() <= 4


def test_a_resumed_reconstruction_equals_an_undisturbed_one(data, tmp_path, monkeypatch):
    section = SECTION.model_copy(update={"free_steps": 6, "tuned_steps": 2})
    names = data.train[:3]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    reconstruct_objects(data, names, section, whole, 1)
    original = objects.reconstruct

    def dies(photographs, given, name):
        if name == names[1]:
            raise KeyboardInterrupt
        return original(photographs, given, name)

    monkeypatch.setattr(objects, "reconstruct", dies)
    with pytest.raises(KeyboardInterrupt):
        reconstruct_objects(data, names, section, killed, 1)
    monkeypatch.setattr(objects, "reconstruct", original)
    first = killed / f"{names[0]}.safetensors"
    made = first.stat().st_mtime_ns
    reconstruct_objects(data, names, section, killed, 1)
    assert first.stat().st_mtime_ns == made  # not made again
    for ours, theirs in zip(read_grids(killed, names), read_grids(whole, names), strict=True):
        assert torch.equal(ours, theirs)


def test_a_missing_grid_is_named(tmp_path):
    with pytest.raises(UserError, match=r"bottle\.safetensors"):
        list(read_grids(tmp_path, ["bottle"]))


def test_rays_are_mostly_drawn_around_the_object(data):
    images, masks, cameras = data.batch(data.frames[data.train[0]])
    photographs = Photographs(images, masks, cameras)
    drawn = photographs.opacity[photographs.draw(4000, torch.Generator().manual_seed(0))]
    assert (drawn > 0.5).float().mean() > 1.5 * (masks > 0.5).float().mean()


def test_occupied_space_is_grown_by_one():
    grid = torch.full((1, 4, 8, 8, 8), -8.0)
    grid[0, 0, 4, 4, 4] = 8.0
    assert occupied(grid).sum() == 27
