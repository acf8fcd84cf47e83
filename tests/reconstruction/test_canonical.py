"""Canonical grids against shapes whose distances and colours are known."""

from __future__ import annotations

import torch

from holofusion.reconstruction.canonical import BAND, blur, canonical, signed_distance
from holofusion.rendering.grids import voxel_centres

SIZE, RADIUS = 32, 0.5
VOXEL = 2 / SIZE
CENTRES = voxel_centres(SIZE, 1.0).reshape(SIZE, SIZE, SIZE, 3)
DISTANCE = (CENTRES.norm(dim=-1) - RADIUS) / VOXEL  # in voxels, the truth


def ball(distance=DISTANCE):
    return (-4 * distance).clamp(-8, 8)


def test_signed_distance_of_a_ball():
    found = signed_distance(ball())
    near = DISTANCE.abs() < 1.5
    # the solid is what is denser than a limit, so its surface lies a constant share of a voxel off the truth
    off = found[near] - DISTANCE[near]
    assert abs(off.mean()) < 0.4 and off.std() < 0.15
    assert (found[DISTANCE < -3] == -BAND).all() and (found[DISTANCE > 3] == BAND).all()


def test_specks_go_and_hollows_are_filled():
    raw = ball()
    raw[1:3, 1:3, 1:3] = 8.0  # a speck in a corner
    raw[(CENTRES.norm(dim=-1) < 0.2)] = -8.0  # a hollow that no photograph sees
    torch.testing.assert_close(signed_distance(raw), signed_distance(ball()))


def test_nothing_solid_is_outside_everywhere():
    assert (signed_distance(torch.full((SIZE,) * 3, -8.0)) == BAND).all()


def test_colours_of_the_surface_are_carried_everywhere():
    grid = torch.zeros(4, SIZE, SIZE, SIZE)
    grid[0] = ball()
    grid[1:] = -4.0  # dark in empty space, and inside
    right = CENTRES[..., 0] > 0
    shell = DISTANCE.abs() < 1.2
    grid[1, shell & right], grid[3, shell & ~right] = 3.0, 3.0  # red on the right, blue on the left
    found = torch.sigmoid(canonical(grid)[1:])
    middle = SIZE // 2
    for x, (strong, weak) in {SIZE - 4: (0, 2), 3: (2, 0)}.items():
        colour = found[:, middle, middle, x]
        assert colour[strong] > 0.6 and colour[weak] < 0.2


def test_blur_keeps_the_sum_and_spreads_as_asked():
    volume = torch.zeros(1, SIZE, SIZE, SIZE)
    volume[0, 16, 16, 16] = 1.0
    found = blur(volume, 1.5)[0]
    assert abs(found.sum() - 1) < 1e-4
    axis = torch.arange(SIZE) - 16.0
    assert abs((found.sum((0, 1)) * axis**2).sum() - 1.5**2) < 0.1
