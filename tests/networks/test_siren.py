"""FiLM-SIREN: the initialisation keeps the activations alive at any depth."""

import torch

from holofusion.networks.siren import FilmLayer, FilmMapping, FilmSiren


def test_activations_keep_unit_order_variance_through_depth():
    torch.manual_seed(0)
    width, depth = 128, 12
    x = torch.rand(1, 2000, 3) * 2 - 1
    frequency, phase = FilmMapping(64, width, depth, width)(torch.randn(1, 64))
    deviations = []
    for index in range(depth):
        layer = FilmLayer(x.shape[-1], width, first=index == 0)
        x = layer(x, frequency[:, index], phase[:, index])
        deviations.append(float(x.std(1).mean()))
    assert all(0.4 < deviation < 0.8 for deviation in deviations[1:]), deviations


def test_film_layer_is_the_sine_of_its_formula():
    torch.manual_seed(0)
    layer, x = FilmLayer(4, 5), torch.randn(2, 7, 4)
    frequency, phase = 30 + torch.randn(2, 5), torch.randn(2, 5)
    expected = torch.sin(frequency[:, None] * layer.linear(x) + phase[:, None])
    torch.testing.assert_close(layer(x, frequency, phase), expected, rtol=1e-4, atol=2e-5)


def test_colour_sees_the_direction_and_density_does_not():
    torch.manual_seed(0)
    field, film = FilmSiren(32, 3, 1.0, 10.0), FilmMapping(8, 32, 4, 32)(torch.randn(1, 8))
    points = torch.rand(1, 50, 3)
    first, second = (field(points, torch.full_like(points, value), *film) for value in (-0.5, 0.5))
    assert torch.equal(first[0], second[0]) and not torch.allclose(first[1], second[1])
