"""The simulated accelerator itself: it computes what the CPU computes, and refuses and counts what CUDA does."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from benchmarks.accelerator import DEVICE, accelerator

X = torch.arange(12.0).reshape(4, 3)
ONE = torch.tensor(2.0)
ROWS = torch.tensor([0, 1])

REFUSED = {
    "tensors of two devices": lambda y: y + X,
    "a product": lambda y: y @ X.T,
    "a layer on the CPU": lambda y: F.linear(y, X),
    "parts of one tensor": lambda y: torch.cat([y, X]),
    "numbers side by side": lambda y: torch.stack([y[0, 0], ONE]),
    "into a number of the CPU": lambda y: ONE.clone().add_(y[0, 0]),
    "rows of a tensor of the CPU": lambda y: X[ROWS.to(DEVICE)],
    "an embedding by indices of the CPU": lambda y: F.embedding(ROWS, y),
    "a condition": lambda y: torch.where(y > 0, y, X),
    "numpy": lambda y: np.asarray(y),
    "a generator of the CPU": lambda y: y.normal_(generator=torch.Generator()),
    "the device's own generator": lambda y: torch.rand_like(y),
    "random numbers made there": lambda y: torch.randn(3, device=DEVICE),
}
ALLOWED = {
    "a number of the CPU": (lambda y: y + ONE, 0, 0),
    "rows by indices of the CPU": (lambda y: y[ROWS], 0, 1),
    "a mask's places": (lambda y: y[y > 5], 1, 0),
    "filling by a mask": (lambda y: torch.zeros_like(y).masked_fill_(y > 5, 1.0), 0, 0),
    "a copy": (lambda y: y + X.to(DEVICE), 0, 1),
    "a copy that nobody waits for": (lambda y: y + X.to(DEVICE, non_blocking=True), 0, 0),
    "a tensor of numbers": (lambda y: y[0] + torch.tensor([1.0, 2.0, 3.0], device=DEVICE), 0, 1),
    "a decision": (lambda y: y if y.sum() > 0 else -y, 1, 0),
    "distinct values": (lambda y: torch.unique(y), 1, 0),
    "repeats of known length": (lambda y: y[0].repeat_interleave(ROWS.to(DEVICE).new_ones(3), output_size=3), 0, 1),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cuda_refuses_is_refused(case):
    with accelerator(), pytest.raises(RuntimeError):
        REFUSED[case](X.to(DEVICE))


@pytest.mark.parametrize("case", ALLOWED)
def test_what_cuda_takes_is_computed_and_counted(case):
    function, reads, writes = ALLOWED[case]
    with accelerator() as waits:
        y = X.to(DEVICE)
        waits.clear()
        made = function(y)
        assert made.device == DEVICE
        assert (waits.of("read"), waits.of("write")) == (reads, writes)
        found = made.cpu()
        assert waits.of("read") == reads + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "DEVICE", torch.device("cpu"))
        assert torch.equal(found, function(X))


def trained(device: torch.device) -> list[torch.Tensor]:
    """Weights of a small network after two steps, with checkpointing, a copy, and changes in place of a part."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 2)).to(device)
    network = copy.deepcopy(network)
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(2):
        x = X.to(device)[:, None].clone()
        x[:, :, 0] = 0
        loss = checkpoint(network, x, use_reentrant=False).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return [value.detach().cpu() for value in network.parameters()]


def test_gradients_and_optimiser_are_the_cpus_to_the_bit():
    with accelerator():
        ours = trained(DEVICE)
    assert all(torch.equal(*pair) for pair in zip(ours, trained(torch.device("cpu")), strict=True))


def test_files_are_written_and_read(tmp_path):
    with accelerator():
        save_file({"x": X.to(DEVICE)}, tmp_path / "x.safetensors")
        read = load_file(tmp_path / "x.safetensors", device="sim")["x"]
        assert read.device == DEVICE and torch.equal(read.cpu(), X)


def test_nothing_is_left_behind():
    with accelerator():
        y = X.to(DEVICE)
    assert not torch.sim.is_available()
    with pytest.raises(RuntimeError):
        y + 1
