"""Colour steps on shapes whose parts and colours are known."""

import pytest
import torch

from holofusion.evaluation.seams import colour_steps, seams

SIDE = 40
Z, Y, X = torch.meshgrid(*[(torch.arange(SIDE) + 0.5) * 2 / SIDE - 1] * 3, indexing="ij")
BALL = 1000.0 * (Z**2 + Y**2 + X**2 < 0.8**2)


def painted(where: torch.Tensor) -> torch.Tensor:
    """Red, blue where asked for: (3,n,n,n)."""
    return torch.stack([1.0 - where.float(), torch.zeros_like(Z), where.float()])


def test_one_colour_has_no_steps() -> None:
    assert colour_steps(BALL, painted(torch.zeros_like(Z)), 1.0) == 0
    assert colour_steps(torch.zeros_like(Z), painted(Z > 0), 1.0) == 0  # no surface


def test_a_seam_counts_by_its_length() -> None:
    one = colour_steps(BALL, painted(Z > 0), 1.0)
    three = colour_steps(BALL, painted((Z > 0) ^ (Z.abs() > 0.4)), 1.0)
    # rings at heights 0, .4 and -.4 of a ball of radius .8 are 1 + 2 cos 30 degrees as long together
    assert one > 0.01 and three / one == pytest.approx(1 + 2 * 0.75**0.5, rel=0.2)


def test_faint_steps_do_not_count() -> None:
    assert colour_steps(BALL, 0.1 * painted(Z > 0), 1.0) == 0


def test_parts_may_differ_in_colour() -> None:
    box = 1000.0 * ((Z.abs() < 0.6) & (Y.abs() < 0.6) & (X.abs() < 0.6))
    lid = painted(Z > 0.59 - 2 / SIDE)  # the top face alone is blue: its edges are creases
    seam = painted(Z > 0.2)  # a line round the sides
    assert colour_steps(box, lid, 1.0) < 0.1 * colour_steps(box, seam, 1.0)


def test_scale_is_that_of_real_objects() -> None:
    assert seams([0.2, 0.0], [0.1, 0.3]) == pytest.approx([1, 0])
    with pytest.raises(ValueError, match="no colour steps"):
        seams([0.1], [0.0])
