"""GRAF's field: what each of the two codes reaches, and the encoding of positions."""

import math

import torch

from holofusion.networks.conditional import CodedLinear, ConditionalField, encoded


def test_encoding_is_the_position_and_its_waves():
    x = torch.tensor([[0.5, -0.25, 0.0]])
    expected = [0.5, -0.25, 0.0]
    for frequency in (math.pi, 2 * math.pi):
        expected += [math.sin(frequency * v) for v in (0.5, -0.25, 0.0)]
        expected += [math.cos(frequency * v) for v in (0.5, -0.25, 0.0)]
    torch.testing.assert_close(encoded(x, 2), torch.tensor([expected]), atol=1e-6, rtol=0)
    assert encoded(x, 0) is not None and torch.equal(encoded(x, 0), x)


def test_a_coded_layer_is_a_layer_of_both_joined():
    torch.manual_seed(0)
    layer, x, code = CodedLinear(4, 3, 5), torch.randn(2, 7, 4), torch.randn(2, 3)
    weight = torch.cat([layer.own.weight, layer.coded.weight], 1)
    joined = torch.cat([x, code[:, None].expand(-1, 7, -1)], -1)
    torch.testing.assert_close(layer(x, code), joined @ weight.T + layer.own.bias)


def answers(appearance=0.0, shape=0.0, direction=0.0):
    torch.manual_seed(0)
    field = ConditionalField(6, 32, 4, (4, 2), 1.0, 10.0)
    points, codes = torch.rand(2, 50, 3) * 2 - 1, torch.randn(2, 2, 6)
    with torch.no_grad():
        return field(points, torch.full_like(points, direction), codes[0] + shape, codes[1] + appearance)


def test_appearance_and_direction_leave_density_bit_equal_and_change_colour():
    density, colour = answers()
    for change in ({"appearance": 1.0}, {"direction": 0.5}):
        other_density, other_colour = answers(**change)
        assert torch.equal(density, other_density) and (colour - other_colour).abs().max() > 1e-3


def test_shape_changes_density():
    density, _ = answers()
    assert (density >= 0).all() and (density - answers(shape=1.0)[0]).abs().max() > 1e-2


def test_members_have_codes_of_their_own():
    torch.manual_seed(0)
    field = ConditionalField(6, 32, 4, (4, 2), 1.0, 10.0)
    points, directions = torch.rand(2, 50, 3), torch.rand(2, 50, 3)
    shape, appearance = torch.randn(2, 6), torch.randn(2, 6)
    together = field(points, directions, shape, appearance)
    for index in (0, 1):
        member = slice(index, index + 1)
        alone = field(points[member], directions[member], shape[member], appearance[member])
        for part, one in zip(together, alone, strict=True):
            torch.testing.assert_close(part[member], one)


def test_it_starts_nearly_empty():
    torch.manual_seed(0)
    field = ConditionalField(32, 64, 4, (6, 2), 1.0, 20.0)
    with torch.no_grad():
        density = field(torch.rand(8, 500, 3) * 2 - 1, torch.zeros(8, 500, 3), torch.randn(8, 32), torch.randn(8, 32))[
            0
        ]
    assert 0.05 < density.median() < 2  # per world unit: the cube has a side of two
