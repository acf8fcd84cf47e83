"""Data-parallel training: several processes, one per GPU, on one node or more, started by torchrun.

A step's batch is made of `parallel.micro_batches` parts, each with random numbers of its own. One process goes through all
of them; several share them out and average the gradients, and then all take the same step. So the number of processes
changes neither the batch nor the result, but for rounding, and may change between a stop and going on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from holofusion.utils.files import UserError
from holofusion.utils.progress import say

PATIENCE = timedelta(days=7)  # of processes for the first one, which may wait long for its lock

OF_THE_JOB = ("SLURM_JOB_ID", "SLURM_CONF")


@dataclass(frozen=True)
class Group:
    """The processes of one training, and which of them this is: rank 0 writes files and messages."""

    rank: int
    size: int
    device: torch.device

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes of values (n,); the same tensor when there is one process."""
        if self.size > 1:
            values = values.to(self.device)
            distributed.all_reduce(values)
        return values

    def add_gradients(self, module: nn.Module) -> None:
        """Replace every gradient by its sum over all processes."""
        if self.size == 1:
            return
        gradients = [value.grad for value in module.parameters() if value.grad is not None]
        flat = _flatten_dense_tensors(gradients)
        distributed.all_reduce(flat)
        for gradient, total in zip(gradients, _unflatten_dense_tensors(flat, gradients), strict=True):
            gradient.copy_(total)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


def share_of(micro_batches: int, rank: int, size: int) -> range:
    """The micro-batches that process `rank` of `size` takes. Raises UserError unless all get equally many."""
    if micro_batches % size:
        raise UserError(
            f"parallel.micro_batches: {micro_batches} cannot be shared out among {size} processes; "
            f"make it a multiple of {size}"
        )
    return range(rank, micro_batches, size)


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """The group that torchrun's environment names, with this process's GPU made current; a group of one without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        group = Group(distributed.get_rank(), size, device)
        if group.rank == 0:
            say(f"training in {size} processes")
        yield group
    finally:
        distributed.destroy_process_group()


def run_in_processes(processes: int, nodes: int, micro_batches: int) -> None:
    """Start the present command anew in `processes` processes, in place of this one; return inside of those.

    With several nodes, which a SLURM job is to hold, as many on each, by srun. Raises UserError outside of such a job, and
    unless nodes get equally many processes and these equally many micro-batches.
    """
    if "WORLD_SIZE" in os.environ or processes <= 1:
        return
    if processes % nodes:
        raise UserError(
            f"--processes {processes}: cannot be shared out among {nodes} nodes; make it a multiple of {nodes}"
        )
    share_of(micro_batches, 0, processes)
    command = ["holofusion", *sys.argv[1:]]
    if nodes > 1 and os.environ.get("SLURM_STEP_NUM_NODES", "1") == "1":
        if "SLURM_JOB_ID" not in os.environ:
            raise UserError(f"--nodes {nodes}: several nodes are those of a SLURM job, and this is none")
        srun = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
        # what a surrounding step on one node was started with does not hold for this one
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_") or key in OF_THE_JOB}
        os.execvpe("srun", [*srun, sys.executable, "-m", *command], kept)
    launcher = ["--standalone"] if nodes == 1 else _meeting_point(nodes)
    torchrun = ["-m", "torch.distributed.run", *launcher, "--nproc-per-node", str(processes // nodes)]
    # behind the dashes torchrun does not take the command's options for abbreviations of its own
    os.execv(sys.executable, [sys.executable, *torchrun, "-m", "--", *command])


def _meeting_point(nodes: int) -> list[str]:
    """Options of torchrun on one of several nodes: srun was started on the first, where the others find it."""
    first, rank = os.environ["SLURM_LAUNCH_NODE_IPADDR"], os.environ["SLURM_NODEID"]
    port = 20000 + int(os.environ["SLURM_JOB_ID"]) % 20000  # one per job, so that two jobs on a node do not meet
    return ["--nnodes", str(nodes), "--node-rank", rank, "--master-addr", first, "--master-port", str(port)]
