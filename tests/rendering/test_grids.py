"""Voxel lookups against hand-worked values and a direct trilinear formula."""

import torch

from holofusion.networks.render_mlp import RenderMLP
from holofusion.rendering.grids import DenseField, occupancy_of, sample_grid, voxel_centres
from holofusion.rendering.occupancy import dilate, lookup_nearest
from holofusion.rendering.sparse_grid import SparseField, SparseGrid


def linear_grid(size: int) -> torch.Tensor:
    """A grid whose three channels are its voxel centres' x, y and z."""
    return voxel_centres(size, 2.0).T.reshape(1, 3, size, size, size)


def test_voxel_centres_of_two_voxels():
    assert voxel_centres(2, 1.0)[:3].tolist() == [[-0.5, -0.5, -0.5], [0.5, -0.5, -0.5], [-0.5, 0.5, -0.5]]


def test_trilinear_lookup_reproduces_linear_functions():
    points = (torch.rand(1, 100, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1) * 1.5
    assert torch.allclose(sample_grid(linear_grid(8), points, 2.0), points, atol=1e-5)


def test_sparse_grid_equals_dense_where_active():
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(1, 5, 8, 8, 8, generator=generator)
    points = torch.rand(1, 200, 3, generator=generator) * 1.6 - 0.8
    sparse = SparseGrid.from_dense(grid, torch.ones(8, 8, 8, dtype=torch.bool), 1.0)
    assert torch.allclose(sparse(points[0]), sample_grid(grid, points, 1.0)[0], atol=1e-5)


def test_points_of_several_grids_are_looked_up_each_in_its_own():
    generator = torch.Generator().manual_seed(0)
    grid, decoder = torch.randn(3, 4, 5, 5, 5, generator=generator), RenderMLP(4, 16, 10.0)
    points = (torch.rand(3, 50, 3, generator=generator) * 2 - 1) * 1.2
    field = DenseField(grid, decoder, 1.0)
    packed = points.flatten(0, 1)
    member = torch.arange(3).repeat_interleave(50)
    for in_turn, named in zip(field.query(packed), field.query(packed, None, member), strict=True):
        assert torch.allclose(in_turn, named, atol=1e-5)
    order = torch.randperm(150, generator=generator)
    for named, shuffled in zip(
        field.query(packed, None, member), field.query(packed[order], None, member[order]), strict=True
    ):
        assert torch.allclose(named[order], shuffled, atol=1e-5)


def test_a_single_grid_is_looked_up_as_by_grid_sample():
    """Also outside the cube, where the rim's value goes on; and with the same gradient."""
    torch.manual_seed(0)
    grid, points = torch.randn(1, 5, 6, 6, 6, requires_grad=True), 3 * torch.rand(200, 3) - 1.5
    field = DenseField(grid, lambda features: (features[:, 0], features[:, 1:]), 1.2)
    density, colour = field.query(points, None, torch.zeros(200, dtype=torch.long))
    found, expected = torch.cat([density[:, None], colour], 1), sample_grid(grid, points[None], 1.2)[0]
    assert torch.allclose(found, expected, atol=1e-5)
    weight = torch.randn(200, 5)
    gradients = [torch.autograd.grad((weight * values).sum(), grid)[0] for values in (found, expected)]
    assert torch.allclose(*gradients, atol=1e-5)


def test_sparse_grid_gradient_touches_only_neighbours():
    sparse = SparseGrid.from_dense(torch.zeros(1, 2, 4, 4, 4), torch.ones(4, 4, 4, dtype=torch.bool), 1.0)
    sparse(torch.tensor([[-0.75, -0.75, -0.75]])).sum().backward()
    touched = sparse.values.grad.abs().sum(1)
    assert touched[1] == 2 and touched.sum() == 2  # exactly the first voxel's centre: weight 1 on two channels


def test_occupancy_finds_a_ball():
    class Ball:
        grid = torch.zeros(1, 1, 8, 8, 8)
        extent = 1.0

        def query(self, points, directions=None, member=None):
            return 10.0 * (points.norm(dim=-1) < 0.5), torch.zeros(len(points), 3)

    mask = occupancy_of(Ball(), 16, 1.0, grow=0)
    assert torch.equal(mask.flatten(), voxel_centres(16, 1.0).norm(dim=-1) < 0.5)
    mask = mask[0]
    assert dilate(mask, 1).sum() > mask.sum()
    points = torch.tensor([[[0.0, 0.0, 0.0], [0.9, 0.9, 0.9], [5.0, 0.0, 0.0]]])
    assert lookup_nearest(mask, *points.unbind(-1), 1.0).tolist() == [[True, False, False]]
    both = torch.stack([mask, ~mask])
    assert lookup_nearest(both, *points.expand(2, -1, -1).unbind(-1), 1.0).tolist() == [
        [True, False, False],
        [False, True, True],
    ]


def test_fine_field_starts_as_the_coarse_one():
    torch.manual_seed(0)
    grid, decoder = torch.randn(1, 4, 4, 4, 4), RenderMLP(4, 16, 10.0)
    full = torch.ones(16, 16, 16, dtype=torch.bool)
    fine = SparseField(SparseGrid.from_dense(grid, full, 1.0), decoder, full)
    # where the coarse interpolation is linear between fine voxel centres, both agree exactly
    points = voxel_centres(16, 1.0)[::37]
    coarse_density, coarse_colour = DenseField(grid, decoder, 1.0).query(points)
    fine_density, fine_colour = fine.query(points)
    assert torch.allclose(coarse_density, fine_density, atol=1e-4)
    assert torch.allclose(coarse_colour, fine_colour, atol=1e-5)
