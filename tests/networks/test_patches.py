"""The discriminator of patches: its spectral norm, and that a score is of one patch alone."""

import pytest
import torch

from holofusion.networks.patches import PatchDiscriminator, SpectralConv


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weights_are_divided_by_their_largest_singular_value(seed):
    torch.manual_seed(seed)
    layer = SpectralConv(3, 24)
    with torch.no_grad():  # a value that stands out, as training makes it: the power method finds that one
        layer.weight += 3 * torch.outer(torch.randn(24), torch.randn(48)).reshape(24, 3, 4, 4)
    torch.testing.assert_close(layer.norm(), torch.linalg.matrix_norm(layer.weight.flatten(1), 2), rtol=1e-3, atol=0)
    image, twice = torch.randn(1, 3, 8, 8), SpectralConv(3, 24)
    twice.load_state_dict(layer.state_dict() | {"weight": 2 * layer.weight})
    torch.testing.assert_close(layer(image), twice(image))


def test_what_it_computes_has_no_memory():
    torch.manual_seed(0)
    network, patches = PatchDiscriminator(16, 8), torch.rand(3, 3, 16, 16)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert torch.equal(network(patches), network(patches))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("size", "layers"), [(8, 3), (16, 4), (32, 5)])
def test_a_score_is_of_one_patch_alone(size, layers):
    torch.manual_seed(0)
    network, patches = PatchDiscriminator(size, 8), torch.rand(3, 3, size, size)
    scores = network(patches)
    assert scores.shape == (3,) and len(network.layers) == layers
    torch.testing.assert_close(network(patches[1:2]), scores[1:2])
