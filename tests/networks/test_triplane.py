"""Tri-plane lookups against values worked out by hand."""

import torch

from holofusion.networks.triplane import sample_planes


def test_each_plane_sees_its_own_two_coordinates():
    # 2 x 2 planes over [-1, 1]: centres at -0.5 and 0.5, rows are the second coordinate
    plane = torch.tensor([[0.0, 1.0], [10.0, 11.0]])
    planes = plane.repeat(1, 3, 1, 1, 1)
    point = torch.tensor([[[0.5, 0.0, -0.5]]])
    # (x, y): column 1, halfway down: 6; (x, z): column 1, row 0: 1; (z, y): column 0, halfway: 5
    assert sample_planes(planes, point, 1.0).flatten().tolist() == [6.0, 1.0, 5.0]


def test_the_rim_continues_and_the_extent_scales():
    planes = torch.arange(4.0).reshape(1, 1, 1, 2, 2).expand(1, 3, 1, 2, 2)
    far = sample_planes(planes, torch.tensor([[[9.0, 9.0, 9.0]]]), 1.0)
    assert far.flatten().tolist() == [3.0, 3.0, 3.0]
    points = torch.rand(1, 20, 3)
    torch.testing.assert_close(sample_planes(planes, points, 1.0), sample_planes(planes, 2 * points, 2.0))
