"""A simulated accelerator: tensors that say they are on the device `sim`, and are computed on the CPU.

It refuses what CUDA refuses: operations on tensors of two devices, a generator of another device, `numpy()`. CUDA takes
single numbers (0-dim tensors) of the CPU in element-wise operations, and indices of the CPU; so does this. One thing that
CUDA takes is refused too: random numbers of the device's own generator, which are others on every device. It counts where
the host waits for the device.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import safetensors.torch
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import backend_registration as registration
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
PACKAGE = Path(__file__).resolve().parents[1] / "holofusion"
COPIES = (aten._to_copy, aten.copy_)
INDEXINGS = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index)
# the host needs the values: for itself, for the size of the result, or to check them
READS = (
    *(aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim),
    *(aten.unique_consecutive, aten.bincount, aten._linalg_eigh, aten._linalg_svd, aten._linalg_solve_ex),
)


class _Hooks(registration._DummyPrivateUse1Hook):
    active = False  # torch asks outside `accelerator()` too, and shall find none there

    def is_available(self) -> bool:
        return self.active


class _Module(registration._DummyBackendModule):
    def is_available(self) -> bool:
        return _Hooks.active

    _initialized = False  # so that checkpointing does not save the state of a generator that is not there

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


registration._setup_privateuseone_for_python_backend("sim", _Module(), hook := _Hooks())
DEVICE = torch.device("sim", 0)


class SimTensor(Tensor):
    """A tensor on DEVICE; `value` is the one on the CPU that it stands for, views and all."""

    value: Tensor

    @staticmethod
    def __new__(cls, value: Tensor) -> SimTensor:
        made = Tensor._make_wrapper_subclass(
            cls, value.shape, value.stride(), value.storage_offset(), dtype=value.dtype, device=DEVICE
        )
        made.value = value
        return made

    @classmethod
    def __torch_dispatch__(cls, func: OpOverload, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        raise RuntimeError(f"{func}: outside of accelerator()")

    def __deepcopy__(self, memo: dict) -> Tensor:
        if id(self) not in memo:
            copied = SimTensor(self.value.clone()).requires_grad_(self.requires_grad)
            copied._is_param = getattr(self, "_is_param", False)
            memo[id(self)] = copied
        return memo[id(self)]

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device} | options)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, **_: object) -> str:
        return f"SimTensor({self.value!r})"


class Waits(Counter):
    """How often the host waited, by (kind, place): kind "read" for values of the device, "write" for a copy to it that is
    not `non_blocking`; place "file:line function" of the package, or "elsewhere"."""

    def of(self, kind: str) -> int:
        return sum(count for (one, _), count in self.items() if one == kind)

    def note(self, kind: str) -> None:
        frame = sys._getframe(1)
        while frame is not None and not frame.f_code.co_filename.startswith(str(PACKAGE)):
            frame = frame.f_back
        name = "" if frame is None else frame.f_code.co_filename.removeprefix(f"{PACKAGE}/")
        self[kind, "elsewhere" if frame is None else f"{name}:{frame.f_lineno} {frame.f_code.co_name}"] += 1


class _Simulation(TorchDispatchMode):
    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func: OpOverload, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors: list[Tensor] = []
        _mapped((args, kwargs), tensors.append)
        simulated = [tensor for tensor in tensors if isinstance(tensor, SimTensor)]
        wanted = kwargs.get("device")
        to_sim = bool(simulated) if wanted is None else _is_simulated(wanted)
        if not (simulated or to_sim):
            return func(*args, **kwargs)
        if func.overloadpacket is aten._pin_memory:
            raise RuntimeError("only tensors of the CPU can be pinned")
        if to_sim and torch.Tag.nondeterministic_seeded in func.tags:
            raise RuntimeError(f"{func}: random numbers are drawn by a generator of the CPU, on the CPU")
        check_devices(func, args, kwargs, tensors)
        self._count(func, args, kwargs, to_sim)
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
            kwargs.pop("non_blocking", None)  # on the CPU the copy has to be there at once
        result = func(*_mapped(args, _value), **_mapped(kwargs, _value))
        if not to_sim or func.overloadpacket is aten._local_scalar_dense:
            return result
        if func.overloadpacket is aten.copy_:
            return args[0]
        known = {id(tensor.value): tensor for tensor in simulated}
        if any(tensor.shape != tensor.value.shape for tensor in simulated):
            raise NotImplementedError(f"{func}: changes a shape in place")
        return _mapped(result, lambda made: known[id(made)] if id(made) in known else SimTensor(made))

    def _count(self, func: OpOverload, args: tuple, kwargs: dict, to_sim: bool) -> None:
        packet = func.overloadpacket
        if packet in COPIES:
            source, target = (args[0], to_sim) if packet is aten._to_copy else (args[1], _simulated(args[0]))
            blocking = not (kwargs.get("non_blocking") or (packet is aten.copy_ and len(args) > 2 and args[2]))
            if _simulated(source) and not target:
                self.waits.note("read")
            elif target and not _simulated(source) and blocking:
                self.waits.note("write")
        elif packet in READS:
            self.waits.note("read")
        elif packet is aten.repeat_interleave and kwargs.get("output_size") is None:
            self.waits.note("read")
        elif packet in INDEXINGS:
            fills = packet not in (aten.index, aten._unsafe_index) and args[2].numel() == 1
            for index in args[1]:
                if isinstance(index, Tensor) and not _simulated(index):
                    self.waits.note("write")
                elif isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) and not fills:
                    self.waits.note("read")


def check_devices(func: OpOverload, args: tuple, kwargs: dict, tensors: list[Tensor]) -> None:
    """Raise RuntimeError where CUDA would, for an operation on tensors of both devices."""
    foreign = [tensor for tensor in tensors if not _simulated(tensor)]
    packet = func.overloadpacket
    if packet in COPIES or not foreign or len(foreign) == len(tensors):
        return
    target = kwargs["out"] if "out" in kwargs else args[0]
    if packet in INDEXINGS:
        foreign = [tensor for tensor in (args[0], *args[2:3]) if isinstance(tensor, Tensor) and not _simulated(tensor)]
        allowed = _simulated(target)
    else:
        allowed = torch.Tag.pointwise in func.tags and (_simulated(target) or not func._schema.is_mutable)
    if not allowed or any(tensor.ndim for tensor in foreign):
        shapes = ", ".join(f"{tensor.device} {list(tensor.shape)}" for tensor in tensors)
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {shapes}")


def _is_simulated(device: Any) -> bool:
    return device is not None and torch.device(device).type == "sim"


def _simulated(tensor: object) -> bool:
    return isinstance(tensor, SimTensor)


def _value(tensor: Tensor) -> Tensor:
    return tensor.value if isinstance(tensor, SimTensor) else tensor


def _mapped(content: Any, function: Callable[[Tensor], Any]) -> Any:
    """The nested content with the function's values in place of tensors."""
    if isinstance(content, Tensor):
        return function(content)
    if isinstance(content, (list, tuple)):
        return type(content)([_mapped(part, function) for part in content])
    if isinstance(content, dict):
        return {name: _mapped(part, function) for name, part in content.items()}
    return content


@contextmanager
def accelerator() -> Iterator[Waits]:
    """A block in which DEVICE can be used, as CUDA can, with files of tensors too; yields the waits so far."""
    waits, files, flatten = Waits(), safetensors.torch.safe_open, safetensors.torch._flatten_as_ptr

    def opened(path: Any, framework: str, device: Any = "cpu", **others: Any) -> Any:
        on_device = _is_simulated(device)
        file = files(path, framework, "cpu" if on_device else device, **others)
        return _File(file) if on_device else file

    def flattened(tensors: dict[str, Tensor], *others: Any, **further: Any) -> Any:
        return flatten({name: tensor.cpu() for name, tensor in tensors.items()}, *others, **further)

    with (
        patch.object(safetensors.torch, "safe_open", opened),
        patch.object(safetensors.torch, "_flatten_as_ptr", flattened),
        patch.object(torch, "tensor", _from_data(torch.tensor)),
        patch.object(torch, "as_tensor", _from_data(torch.as_tensor)),
        patch.object(_Hooks, "active", True),
        _Simulation(waits),
    ):
        yield waits


def _from_data(function: Callable) -> Callable:
    """torch.tensor and its like make the tensor on the CPU and copy it, out of sight; here in sight."""

    def called(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        if not _is_simulated(device) or isinstance(data, SimTensor):
            return function(data, device=device, **options)
        return function(data, **options).to(device)

    return called


class _File:
    """A file of tensors that is read to the device."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> _File:
        self.file.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.__exit__(*error)

    def get_tensors(self) -> dict[str, Tensor]:
        return {name: tensor.to(DEVICE) for name, tensor in self.file.get_tensors().items()}


@contextmanager
def rasteriser_on_host() -> Iterator[None]:
    """A block in which PyTorch3D's compiled rasteriser, which knows CUDA and not this device, is run on the CPU."""
    from pytorch3d import _C

    rasterise = _C.rasterize_meshes

    def on_host(*args: Any) -> Any:
        made = rasterise(*_mapped(args, _value))
        return _mapped(made, lambda tensor: tensor.to(DEVICE, non_blocking=True))

    with patch.object(_C, "rasterize_meshes", on_host):
        yield
