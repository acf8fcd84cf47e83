"""What the rendering benchmark compares: a scene's picture by our renderer and by PyTorch3D's parts."""

import pytest
import torch

from holofusion.cameras import turntable
from holofusion.networks.render_mlp import RenderMLP
from holofusion.rendering.grids import voxel_centres
from holofusion.scenes.voxel import VoxelFacts, VoxelScene

rendering = pytest.importorskip("benchmarks.rendering")


@pytest.fixture
def ours():
    """A ball, whose density falls with the first feature, which grows outwards."""
    torch.manual_seed(0)
    facts = VoxelFacts(
        extent=1.0, density_scale=20.0, precision="fp32", coarse_samples=12, importance_samples=0, empty_density=0.05
    )
    grid, decoder = 0.5 * torch.randn(1, 6, 10, 10, 10), RenderMLP(6, 16, 20.0)
    with torch.no_grad():
        decoder.skip.weight[0] = torch.tensor([-20.0, 0, 0, 0, 0, 0])
        decoder.layers[-1].bias[0] = 8.0
    grid[0, 0] = voxel_centres(10, 1.0).norm(dim=1).reshape(10, 10, 10)
    return rendering.Ours(VoxelScene(grid, decoder, facts), turntable(1, 20.0, 5.0, 4.5), 24)


def test_both_renderers_make_the_same_picture_and_the_same_gradients(ours):
    theirs = rendering.with_our_samples(ours)
    first, second = ours.rgb(), theirs.rgb()
    assert 0.1 < (first < 0.9).float().mean() < 0.9
    assert torch.allclose(first, second, atol=1e-5)
    target = torch.rand_like(first)
    for one, other in zip(
        torch.autograd.grad((first - target).square().sum(), ours.parameters),
        torch.autograd.grad((second - target).square().sum(), theirs.parameters),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_evenly_spaced_samples_are_as_few_as_come_as_near(ours):
    theirs, (found, allowed) = rendering.as_exact_as(ours)
    count = theirs.depths.shape[-1]
    assert count > ours.samples
    assert found <= allowed
    with torch.no_grad():
        exact = rendering.evenly_sampled(ours, 320).rgb()
        errors = [
            float((renderer.rgb() - exact).square().mean().sqrt())
            for renderer in (theirs, ours, rendering.evenly_sampled(ours, count - 1))
        ]
    assert errors[:2] == pytest.approx([found, allowed])
    assert errors[2] > allowed
