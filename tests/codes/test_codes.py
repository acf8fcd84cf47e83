"""Codes of plain grids: what must be lossless is, what must start linear does, and tuning helps on photographs."""

from __future__ import annotations

import copy

import pytest
import torch

from holofusion.codes.blocks import BlockCode, fold_blocks, from_features, to_features, unfold_blocks
from holofusion.codes.decoder import CodeDecoder
from holofusion.codes.space import CodeSpace
from holofusion.codes.training import DecoderTraining, deviation_of, tuned_code
from holofusion.data.batches import draw_views
from holofusion.data.prepared import PreparedCategory
from holofusion.pipeline.checks import load_params
from holofusion.reconstruction.fit import reconstruct
from holofusion.reconstruction.photographs import Photographs
from holofusion.rendering.plain import PlainField
from holofusion.utils.files import UserError


@pytest.fixture(scope="module")
def params(repository):
    return load_params(repository / "params.yaml", "smoke")


@pytest.fixture(scope="module")
def grids():
    generator = torch.Generator().manual_seed(0)
    grids = torch.randn(6, 4, 8, 8, 8, generator=generator)
    grids[:, 0] *= 5
    return grids.clamp(-4, 4)


def test_blocks_are_neighbours():
    x = torch.arange(2 * 64.0).reshape(1, 2, 4, 4, 4)
    folded = fold_blocks(x, 2)
    assert folded.shape == (1, 16, 2, 2, 2)
    assert set(folded[0, :8, 1, 0, 1].tolist()) == set(x[0, 0, 2:4, 0:2, 2:4].flatten().tolist())
    assert torch.equal(unfold_blocks(folded, 2), x)


def test_features_are_invertible(grids):
    torch.testing.assert_close(from_features(to_features(grids)), grids, atol=1e-4, rtol=1e-4)


def test_as_many_numbers_as_a_block_has_lose_nothing(params, grids):
    section = params.codes.model_copy(update={"numbers": 32})
    code = BlockCode(section)
    code.fit(grids)
    decoded = from_features(unfold_blocks(code.blocks(code.encode(grids)), 2))
    torch.testing.assert_close(decoded, grids, atol=1e-3, rtol=1e-3)
    identity = code.basis @ code.basis.T
    torch.testing.assert_close(identity, torch.eye(32), atol=1e-4, rtol=0)


def test_components_are_those_of_least_error(params, grids):
    """Against numpy's own decomposition, where every block counts the same."""
    everywhere = grids.clone()
    everywhere[:, 0] = everywhere[:, 0].clamp(-3, 3)  # surface in every block
    code = BlockCode(params.codes.model_copy(update={"numbers": 5}))
    code.fit(everywhere)
    blocks = fold_blocks(to_features(everywhere), 2).permute(0, 2, 3, 4, 1).reshape(-1, 32)
    centred = blocks - blocks.mean(0)
    rest = torch.linalg.svdvals(centred.double())[5:].square().sum()
    lost = blocks - (code.basis @ centred.T).T @ code.basis - blocks.mean(0)
    torch.testing.assert_close(lost.double().square().sum(), rest, rtol=1e-3, atol=0)


def test_an_untrained_decoder_is_linear_exactly(params, grids):
    decoder = CodeDecoder(params.codes, params.volume)
    decoder.code.fit(grids)
    codes = decoder.code.encode(grids)
    assert torch.equal(decoder(codes), from_features(unfold_blocks(decoder.code.blocks(codes), 2)))


@pytest.fixture(scope="module")
def object_of(prepared_smoke, params):
    """Data, an object's photographs, and the codes of all training objects."""
    data = PreparedCategory.load(prepared_smoke)
    section = params.reconstruction.model_copy(update={"free_steps": 40})
    fits = [reconstruct(Photographs.of(data, name), section, name).tuned for name in data.train]
    decoder = CodeDecoder(params.codes, params.volume)
    decoder.code.fit(fits)
    decoder.requires_grad_(False)
    return data, Photographs.of(data, data.train[0]), decoder, decoder.code.encode(torch.stack(fits))


def test_a_tuned_code_renders_nearer_to_the_photographs(object_of, params):
    _, photographs, decoder, codes = object_of
    section = params.codes.model_copy(update={"tuned_steps": 45})

    def error(code):
        field = PlainField.skipping(decoder(code))
        return photographs.error(field, 2000, 16, torch.Generator().manual_seed(1)).item()

    tuned = tuned_code(decoder, codes[:1], deviation_of(codes), photographs, section, "test")
    assert error(tuned) < 0.9 * error(codes[:1])
    again = tuned_code(decoder, codes[:1], deviation_of(codes), photographs, section, "test")
    assert torch.equal(tuned, again)


def test_training_the_decoder_lowers_its_error(object_of, params):
    data, _, decoder, codes = object_of
    section = params.codes.model_copy(update={"noise": 0.0, "rays": 256})
    training = DecoderTraining(
        copy.deepcopy(decoder).requires_grad_(True), section, codes[: len(data.train)], data.train
    )
    batch = draw_views(data, data.train[:1], 4, torch.Generator().manual_seed(0), torch.device("cpu"))
    optimiser = torch.optim.Adam(training.parameter_groups(), betas=(0.9, 0.99))
    losses = []
    for _ in range(25):
        loss = training.training_step(batch, 0, torch.Generator().manual_seed(3))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_standardised_codes_have_variance_one_and_come_back(object_of, params):
    _, _, decoder, codes = object_of
    space = CodeSpace(params.volume, params.codes, 8)
    names = [str(number) for number in range(len(codes))]
    standardised = space.take(codes, decoder.state_dict(), names)
    assert abs(standardised.mean(0)).max() < 1e-4
    assert abs(standardised.square().mean() - 1) < 1e-3
    torch.testing.assert_close(space.decode(standardised), decoder(codes), atol=1e-2, rtol=1e-2)
    with pytest.raises(UserError, match="--codes: holds codes of shape"):
        space.take(codes[1:], decoder.state_dict(), names)
