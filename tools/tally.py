"""Count what a piece of work does: floating-point operations, bytes that its operations read and write, and memory at its peak.

Works on real tensors and on fake ones (`torch._subclasses.FakeTensorMode`), which have sizes and no values: so a training step
of any size can be counted on a machine that could not hold it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
ALIASES = (aten._unsafe_view, aten.lift_fresh)  # views that are not marked as such
Work = Callable[[], object]


@dataclass(frozen=True)
class Tally:
    """Of one piece of work.

    flop: of products and convolutions; a multiplication and an addition are two. moved: bytes of all operations' inputs and
    outputs. operations: that do something, views do not. held: bytes that are there before it. peak: bytes that are there at
    most, `held` among them.
    """

    flop: int
    moved: int
    operations: int
    held: int
    peak: int


class Watch(TorchDispatchMode):
    """Follows every tensor that is made until it is freed.

    Fake tensors have no values. Where the host asks for one it is told 1, and True; where the places of a mask are asked for,
    they are all places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, int] = {}  # bytes by storage
        self.now = self.most = self.flop = self.moved = self.operations = 0

    def __torch_dispatch__(self, func: OpOverload, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if args and isinstance(args[0], FakeTensor):  # no values
            if func.overloadpacket is aten._local_scalar_dense:
                return 1.0 if args[0].is_floating_point() else args[0].dtype == torch.bool or 1
            if func.overloadpacket is aten.nonzero:
                return args[0].new_empty((args[0].numel(), args[0].ndim), dtype=torch.long)
        made = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flop += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=made)
        outputs = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        for tensor in outputs:
            self.follow(tensor)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func.namespace == "aten" and not func.is_view and func.overloadpacket not in ALIASES:
            self.moved += sum(tensor.numel() * tensor.element_size() for tensor in inputs + outputs)
            self.operations += 1
        return made

    def follow(self, tensor: Tensor) -> None:
        """Count the tensor's memory, once, until it is freed."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        self.known[key] = count = storage.nbytes()
        self.now += count
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.now -= self.known.pop(key)


@contextmanager
def faked() -> Iterator[None]:
    """A block in which tensors are fake. Modules stay as they are made: torch 2.12 cannot turn fake weights' memory round."""
    with FakeTensorMode(), patch.object(nn.Module, "to", lambda module, *_, **__: module):
        yield


def tally(prepare: Callable[[], Work], fake: bool) -> Tally:
    """Of the work that `prepare` makes, done a second time: the first makes what is kept, such as the optimiser's state.

    fake: on fake tensors of the CPU; real ones otherwise.
    """
    watch = Watch()
    with faked() if fake else nullcontext(), watch:
        work = prepare()
        work()
        held = watch.most = watch.now
        watch.flop = watch.moved = watch.operations = 0
        work()
    return Tally(watch.flop, watch.moved, watch.operations, held, watch.most)


def parameters(make: Callable[[], nn.Module], fake: bool) -> int:
    """Numbers that are trained of the module that `make` makes."""
    with faked() if fake else nullcontext():
        return sum(part.numel() for part in make().parameters() if part.requires_grad)
