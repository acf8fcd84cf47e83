"""The adversarial step: its penalties, and that each player's loss reaches that player alone."""

from types import SimpleNamespace

import torch
from torch import nn

from holofusion.training.adversarial import adversarial_losses, augment, r1_penalty


def test_r1_equals_the_penalty_computed_image_by_image():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 1))
    images = torch.rand(5, 3, 2, 2, requires_grad=True)
    found = r1_penalty(network(images)[:, 0], images)
    squares = []
    for image in images.detach():
        alone = image[None].clone().requires_grad_()
        network(alone).sum().backward()
        squares.append(alone.grad.square().sum())
    torch.testing.assert_close(found, torch.stack(squares).mean())


def step(penalised: bool):
    torch.manual_seed(0)
    settings = SimpleNamespace(augmentation=0.0, r1_every=4)
    source = nn.Linear(2, 12)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 1))
    fake, real = torch.sigmoid(source(torch.randn(6, 2))).reshape(6, 3, 2, 2), torch.rand(6, 3, 2, 2)
    losses = adversarial_losses(
        network,
        lambda images: network(images)[:, 0],
        real,
        fake,
        2.0,
        4 if penalised else 5,
        settings,
        torch.Generator(),
    )
    return source, network, losses


def test_each_loss_reaches_its_own_player_only():
    for name, reached in (("generator", 0), ("discriminator", 1)):
        *players, losses = step(penalised=False)
        losses[name].backward()
        for index, player in enumerate(players):
            moved = any(p.grad is not None and p.grad.abs().sum() > 0 for p in player.parameters())
            assert moved == (index == reached), (name, index)


def test_the_penalty_comes_every_few_steps_and_counts_that_often():
    *_, losses = step(penalised=True)
    expected = losses["generator"] + losses["discriminator"] + 0.5 * 2.0 * 4 * losses["r1"]
    torch.testing.assert_close(losses["loss"], expected)
    *_, losses = step(penalised=False)
    assert "r1" not in losses


def test_augmentation_keeps_white_and_gradients_and_moves_all_channels_together():
    white = torch.ones(4, 6, 16, 16)
    assert torch.equal(augment(white, 1.0, torch.Generator().manual_seed(0)), white)
    images = torch.rand(8, 3, 16, 16)
    both = augment(torch.cat([images, images], 1), 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(both[:, :3], both[:, 3:]) and not torch.equal(both[:, :3], images)
    images.requires_grad_()
    augment(images, 1.0, torch.Generator().manual_seed(1)).sum().backward()
    assert (images.grad != 0).any()
