"""Codes in few bytes, and estimates that are made of them again."""

from __future__ import annotations

import pytest
import torch

from holofusion.diffusion.estimates import Estimates, small_state
from holofusion.diffusion.packing import packed, unpacked
from holofusion.diffusion.process import NoiseSchedule

SHAPE = (3, 4, 4, 4)


@pytest.fixture
def codes() -> torch.Tensor:
    scale = torch.tensor([1.0, 5.0, 0.1])[:, None, None, None]
    return (torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(3)) * scale).half()


def test_a_number_is_off_by_half_a_step_at_most(codes: torch.Tensor) -> None:
    error = (unpacked(*packed(codes)).float() - codes.float()).abs().amax((0, 2, 3, 4))
    greatest = codes.float().abs().amax((0, 2, 3, 4))
    assert (error <= greatest * (0.5 / 127 + 1e-3)).all() and (error > 0).all()  # 1e-3: of half precision


def test_damaged_bytes_are_refused(codes: torch.Tensor) -> None:
    content, *rest = packed(codes)
    content[: len(content) // 2] = 255
    with pytest.raises((ValueError, RuntimeError)):
        unpacked(content, *rest)


def test_a_small_state_gives_the_estimates_of_its_codes(codes: torch.Tensor) -> None:
    """The linear estimate is left out of it, and made anew."""
    schedule = NoiseSchedule(10, -2.0)
    made = Estimates(SHAPE, 4, schedule)
    made.fit(unpacked(*packed(codes)), 2)
    made.choose(3)
    small = small_state({f"estimates.{name}": value for name, value in made.state_dict().items()}, "estimates.")
    assert not any("linear" in name or name.endswith("codes") for name in small)
    parent, loaded = torch.nn.Module(), Estimates(SHAPE, 4, schedule)
    parent.add_module("estimates", loaded)
    parent.load_state_dict(small)
    noisy = torch.randn(2, *SHAPE)
    torch.testing.assert_close(loaded.linear_at(noisy, 5), made.linear_at(noisy, 5))
    torch.testing.assert_close(loaded.local_at(noisy, 5), made.local_at(noisy, 5))
    torch.testing.assert_close(loaded.codes, made.codes)
