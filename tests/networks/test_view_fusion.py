"""The network that fuses views: what it does untrained, what it can learn, and its convolution against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from holofusion.networks.view_fusion import ViewFusion, neighbours_of
from holofusion.rendering.unprojection import Observations

VOXEL = 0.05


def random_views(
    count: int, generator: torch.Generator, apart: float
) -> tuple[torch.Tensor, torch.Tensor, Observations]:
    """Coarse features (R, 4), true colours (R, 3), and what 3 views of 3 hypotheses each add: what is missing to the truth, but
    for one that is `apart` from that."""
    truth = 0.25 + 0.5 * torch.rand(count, 3, generator=generator)
    coarse = (truth + 0.1 * torch.randn(count, 3, generator=generator)).clamp(0.05, 0.95)
    values = (truth - coarse)[:, None, None] + 0.01 * torch.randn(count, 3, 3, 3, generator=generator)
    wrong = torch.randint(9, (count,), generator=generator)
    values.flatten(1, 2)[torch.arange(count), wrong] += apart * torch.randn(count, 3, generator=generator).sign()
    features = torch.cat([torch.ones(count, 1), torch.logit(coarse)], 1)
    facts = torch.zeros(count, 3)
    return features, truth, Observations(facts == 0, values.half(), facts, facts + 0.7)


def by_themselves(count: int) -> torch.Tensor:
    """Neighbours of voxels that have none."""
    neighbours = torch.zeros(count, 27, dtype=torch.int32)
    neighbours[:, 13] = torch.arange(1, count + 1)
    return neighbours


@pytest.fixture
def network() -> ViewFusion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ViewFusion(8)


def test_untrained_it_changes_nothing_but_learns(network: ViewFusion) -> None:
    features, truth, views = random_views(20, torch.Generator().manual_seed(0), 0.3)
    found = network(features, views, by_themselves(20), VOXEL)
    assert torch.equal(found, features)
    (torch.sigmoid(found[:, 1:]) - truth).square().mean().backward()
    assert network.change.weight.grad.abs().sum() > 0


def test_it_learns_to_leave_out_the_hypothesis_that_is_wrong(network: ViewFusion) -> None:
    """Trained on some voxels, tried on others: nearer to the truth than the mean is, by far."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        features, truth, views = random_views(128, generator, 0.3)
        optimiser.zero_grad()
        found = torch.sigmoid(network(features, views, by_themselves(128), VOXEL)[:, 1:])
        (found - truth).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        features, truth, views = random_views(500, generator, 0.3)
        values, (weights, _) = views.values.float(), network.weights(views, VOXEL)
        found = torch.sigmoid(network(features, views, by_themselves(500), VOXEL)[:, 1:])
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(500))
    missing = truth - torch.sigmoid(features[:, 1:])
    plain = (values.mean((1, 2)) - missing).square().mean().sqrt()
    weighted = ((weights[..., None] * values).sum((1, 2)) - missing).square().mean().sqrt()
    assert float(plain) > 0.03  # a ninth of what one is wrong by
    assert float(weighted) < 0.35 * plain and float((found - truth).square().mean().sqrt()) < 0.5 * plain
    outlier = (values - missing[:, None, None]).abs().amax(-1) > 0.15
    assert float(weights[outlier].mean()) < 0.2 / 9


def test_what_a_view_does_not_show_does_not_count(network: ViewFusion) -> None:
    torch.nn.init.normal_(network.change.weight)
    features, _, views = random_views(20, torch.Generator().manual_seed(0), 0.3)
    seen = views.seen.clone()
    seen[:, 2] = False
    found = []
    for other in (0.0, 0.9):
        values = views.values.clone()
        values[:, 2] = other
        less = Observations(seen, values, views.gap, views.cosine * seen)
        weights, _ = network.weights(less, VOXEL)
        assert (weights[:, 2] == 0).all()
        found.append(network(features, less, by_themselves(20), VOXEL))
    torch.testing.assert_close(found[0], found[1])


def test_neighbours_are_those_of_a_dense_convolution() -> None:
    generator = torch.Generator().manual_seed(0)
    active = torch.rand(6, 6, 6, generator=generator) < 0.3
    voxels = active.flatten().nonzero().squeeze(1)
    index = torch.zeros(6**3, dtype=torch.int32)
    index[voxels] = torch.arange(1, len(voxels) + 1, dtype=torch.int32)
    neighbours = neighbours_of(index.reshape(6, 6, 6), voxels)
    assert torch.equal(neighbours[:, 13].long(), torch.arange(1, len(voxels) + 1))
    values, kernel = torch.randn(len(voxels), generator=generator), torch.randn(27, generator=generator)
    dense = torch.zeros(6**3)
    dense[voxels] = values
    expected = F.conv3d(dense.reshape(1, 1, 6, 6, 6), kernel.reshape(1, 1, 3, 3, 3), padding=1).flatten()[voxels]
    found = torch.cat([torch.zeros(1), values])[neighbours.long()] @ kernel
    torch.testing.assert_close(found, expected)
