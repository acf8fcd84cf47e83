"""The decoder's first weights: they decide every training that starts from a seed."""

import torch
from torch import nn

from holofusion.networks.render_mlp import RenderMLP


def test_first_weights_are_drawn_layer_by_layer():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(6, 4, bias=False)]
    torch.manual_seed(0)
    decoder = RenderMLP(6, 8, 20.0)
    made = [*decoder.layers[::2], decoder.skip]
    assert all(torch.equal(one.weight, other.weight) for one, other in zip(made, layers, strict=True))
    assert decoder.layers[-1].bias[0] == -3
