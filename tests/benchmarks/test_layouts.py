"""Both layouts are measured, and the speedup is told of the one that a network has."""

from __future__ import annotations

import pytest
import torch

from benchmarks import layouts
from benchmarks.timing import Ratios


@pytest.mark.parametrize(("channels", "told"), [((8,), 0.5), ((8, 256), 2.0)])
def test_the_other_layout_is_held_against_the_own(channels, told, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(layouts, "ratios", lambda *_: Ratios([2.0], [1.0]))  # channels first take half the time
    network = (2, 4, 4, channels, 1, 8, 1)
    assert layouts.speedup(network, "fp32", 1)["median"] == told


def test_a_step_reaches_the_weights():
    step = layouts.step_of((2, 4, 4, (8,), 1, 8, 1), "fp32", first=True)
    network = step.__closure__
    assert network is not None
    step()
    nets = [cell.cell_contents for cell in network if isinstance(cell.cell_contents, torch.nn.Module)]
    assert nets[0].output.weight.grad is not None and nets[0].input.weight.is_contiguous()
