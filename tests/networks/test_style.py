"""StyleGAN2's layers against their naive forms."""

import torch
from torch.nn import functional as F

from holofusion.networks.discriminator import Discriminator, pixel_positions
from holofusion.networks.style import MappingNetwork, ModulatedConv, StyleBackbone


def test_modulated_convolution_equals_its_form_per_sample():
    torch.manual_seed(0)
    layer, x, w = ModulatedConv(5, 7, 3, 6), torch.randn(4, 5, 9, 9), torch.randn(4, 6)
    found = layer(x, w)
    for index in range(4):
        style = layer.affine(w[index : index + 1])[0]
        weight = layer.weight * layer.scale * style[None, :, None, None]
        weight = weight / weight.flatten(1).norm(dim=1)[:, None, None, None]
        alone = F.conv2d(x[index : index + 1], weight, padding=1)
        torch.testing.assert_close(found[index : index + 1], alone, rtol=1e-4, atol=1e-5)


def test_unmodulated_output_has_unit_variance():
    torch.manual_seed(0)
    layer, x = ModulatedConv(64, 64, 3, 16), torch.randn(8, 64, 16, 16)
    y = layer(x, torch.randn(8, 16)).detach()
    assert 0.8 < float(y[..., 1:-1, 1:-1].std()) < 1.2


def test_backbone_gives_the_asked_planes_and_its_style_matters():
    torch.manual_seed(0)
    backbone, mapping = StyleBackbone(16, 12, 16, 8), MappingNetwork(16, 2)
    w = mapping(torch.randn(2, 16))
    planes = backbone(w, torch.Generator().manual_seed(0))
    assert planes.shape == (2, 12, 16, 16)
    assert float((planes[0] - planes[1]).abs().mean()) > 0.05


def test_mapping_ignores_the_length_of_the_latent():
    torch.manual_seed(0)
    mapping, z = MappingNetwork(16, 2), torch.randn(3, 16)
    torch.testing.assert_close(mapping(z), mapping(5 * z), rtol=1e-3, atol=1e-4)


def test_discriminator_takes_smaller_images_at_later_entries_and_fades():
    torch.manual_seed(0)
    network, images = Discriminator(3, 32, 8, coordinates=True), torch.rand(4, 3, 32, 32)
    small = F.avg_pool2d(images, 2)
    whole, faded, half = network(images), network(images, fade=0.0), network(small)
    assert whole.shape == (4,)
    torch.testing.assert_close(faded, half)
    assert not torch.allclose(whole, half)


def test_discriminator_is_conditioned_on_the_label():
    torch.manual_seed(0)
    network, images, label = Discriminator(3, 16, 8, 5), torch.rand(4, 3, 16, 16), torch.randn(4, 5)
    assert not torch.allclose(network(images, label), network(images, label.flip(0)))


def test_pixel_positions_run_from_left_to_right_and_down():
    places = pixel_positions(torch.zeros(1, 1, 3, 3))[0]
    assert places[0, 0].tolist() == [-1, 0, 1] and places[1, :, 0].tolist() == [-1, 0, 1]
