"""Copies, mosaics and new objects, made by hand, are told apart."""

import numpy as np
import pytest
import torch

from holofusion.evaluation.memorisation import code_distances, nearest_objects, picture_distances
from holofusion.evaluation.references import ImageSet
from holofusion.evaluation.sources import sources_of, told_apart


def image_set(features: list[list[float]], units: list[int]) -> ImageSet:
    return ImageSet(torch.tensor(features, dtype=torch.float64), np.array(units))


def test_pictures_are_compared_with_an_objects_nearest_view() -> None:
    training = image_set([[0, 0], [10, 0], [0, 4], [10, 4]], [0, 0, 1, 1])
    scenes = image_set([[0, 1], [10, 1], [0, 3]], [0, 0, 1])
    assert picture_distances(scenes, training) == pytest.approx(np.array([[1, 3], [3, 1]]))


def test_ranks_say_how_many_held_out_objects_are_nearer() -> None:
    held_out = np.array([[1.0, 9], [9, 2], [3, 9], [9, 4]])  # nearest: 1, 2, 3, 4
    copy, usual, far = nearest_objects(np.array([[5.0, 0], [2.5, 8], [7, 6]]), held_out)
    assert (copy.number, copy.distance, copy.rank) == (1, 0, 0)
    assert (usual.number, usual.rank) == (0, 0.5) and (far.number, far.rank) == (1, 1)
    (equal,) = nearest_objects(np.array([[2.0, 8]]), held_out)
    assert equal.rank == 0.375  # one nearer, one just as near


def test_code_distance_is_a_root_mean_square() -> None:
    training = torch.stack([torch.zeros(2, 3, 3, 3), torch.full((2, 3, 3, 3), 4.0)])
    assert code_distances(torch.ones(1, 2, 3, 3, 3), training) == pytest.approx(np.array([[1, 3]]))


@pytest.fixture
def training() -> torch.Tensor:
    """Five codes (5,3,4,4,4), which are alike in the last layer: empty space."""
    codes = torch.randn(5, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    codes[..., 3] = 7
    return codes


def test_a_copy_has_one_source(training: torch.Tensor) -> None:
    noisy = training[2] + 1e-3 * torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    for sample in (training[2], noisy):
        sources = sources_of(sample, training)
        assert (sources.commonest, sources.share, sources.count) == (2, 1, 1)


def test_a_mosaic_has_the_sources_it_was_made_from(training: torch.Tensor) -> None:
    mosaic = training[3].clone()
    mosaic[:, :, 0] = training[1, :, :, 0]  # 16 of 64 positions, 4 of them empty
    mosaic[:, 0, 1] = training[4, :, 0, 1]  # 4, 1 of them empty
    sources = sources_of(mosaic, training)
    # empty positions may be anybody's and go to the commonest
    assert (sources.commonest, sources.share, sources.count) == (3, (64 - 12 - 3) / 64, 3)
    there = told_apart(training)
    assert there.sum() == 48 and not there[..., 3].any()
    sources = sources_of(mosaic, training, there)
    assert (sources.commonest, sources.share, sources.count) == (3, 33 / 48, 3)


def test_a_new_object_belongs_to_nobody(training: torch.Tensor) -> None:
    many = torch.randn(40, 3, 6, 6, 6, generator=torch.Generator().manual_seed(2))
    new = torch.randn(3, 6, 6, 6, generator=torch.Generator().manual_seed(3))
    sources = sources_of(new, many)
    assert sources.share < 0.12 and sources.count > 25


def test_few_positions_of_one_object_make_no_source() -> None:
    training = torch.stack([torch.zeros(1, 6, 6, 6), torch.ones(1, 6, 6, 6)])
    sample = training[0].clone()
    sample[0, 0, 0, :2] = 1  # 2 of 216, less than 1 %
    assert sources_of(sample, training).count == 1
    sample[0, 0, 0, :3] = 1
    assert sources_of(sample, training).count == 2
    with pytest.raises(ValueError, match="no positions"):
        sources_of(sample, training, torch.zeros(6, 6, 6, dtype=torch.bool))
