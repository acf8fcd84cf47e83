"""Run a step of every training at the paper's sizes on a GPU: are its losses the CPU's, how long does it take, what does it hold?

python -m benchmarks.gpu --out FILE     measures, and writes FILE; six minutes at most, see benchmarks/gpu.sh
python -m benchmarks.gpu --fill FILE    copies FILE to docs/gpu.json and makes the tables of docs/gpu.md from it
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.gpu_page import fill
from holofusion.codes.decoder import CodeDecoder
from holofusion.config.params import Params
from holofusion.methods.base import construct
from holofusion.methods.files import method_class
from holofusion.methods.holodiffusion import VoxelAutoencoder
from holofusion.networks.encoder import ViewEncoder
from holofusion.networks.unet import UNet
from holofusion.pipeline.registry import ROWS
from holofusion.training.base import Trainable
from holofusion.utils.files import UserError, write_json
from holofusion.utils.progress import say
from tools import work
from tools.tally import Watch

LIMIT = 330.0  # seconds after which nothing new begins
SIDE = 8192  # of the matrices whose product stands for the card's peak
COMPILED = (UNet, ViewEncoder, CodeDecoder)  # what torch.compile is given; steps around them ask for values in between
WAYS = {"compiled": "default", "graphs": "reduce-overhead"}  # modes of torch.compile; the second records CUDA graphs
OBJECTS = 32  # that the training over codes knows
ADVERSARIAL = ("pigan", "eg3d", "get3d")
TRAININGS = ("code_fusion", "holofusion", "holodiffusion_nobootstrap", "encode", "warmup", *ADVERSARIAL, "sds")


def make(name: str, preset: str, precision: str, device: torch.device) -> tuple[Trainable, Params]:
    """A training's method and settings. Its weights, and what is drawn after it, are the same on every device."""
    torch.manual_seed(0)
    params = work.settings_of(
        preset, name if name in ROWS else None, volume={"precision": precision}, pigan={"doublings": 0}
    )
    makers: dict[str, Callable[[], Trainable]] = {
        "warmup": lambda: construct(VoxelAutoencoder, dict(params)).to(device),
        "encode": lambda: work.decoder_training(params, device),
        "code_fusion": lambda: work.code_fusion(params, OBJECTS, device),
        "holofusion": lambda: work.family(params, device=device),
        "holodiffusion_nobootstrap": lambda: work.family(params, device=device),
    }
    method = makers[name]() if name in makers else construct(method_class(ROWS[name]), dict(params)).to(device)
    torch.manual_seed(1)  # weights may have been drawn in another number
    return method, params


def measure(
    preset: str, device: torch.device, limit: float = LIMIT, keep: Callable[[dict], None] = lambda found: None
) -> dict[str, Any]:
    """The card, its rates in products of matrices, and figures by training. keep: called with what there is so far."""
    began, found = time.monotonic(), {"preset": preset, **machine(device), "trainings": {}}
    trainings: dict[str, dict[str, Any]] = found["trainings"]

    def take(name: str, part: str, call: Callable[[], Any]) -> None:
        say(f"gpu: {name}, {part}")
        figure = guarded(call, began, limit)
        trainings[name] = figure if part == "step" else trainings[name] | {part: figure}
        keep(found | {"seconds": round(time.monotonic() - began)})

    for name in TRAININGS:
        take(name, "step", lambda name=name: of_training(name, preset, device))
    for name in TRAININGS:
        for way, mode in WAYS.items():
            if trainings[name].get("networks"):
                take(name, way, lambda name=name, mode=mode: compiled(name, preset, device, mode))
    return found | {"seconds": round(time.monotonic() - began)}


def guarded(call: Callable[[], Any], began: float, limit: float) -> Any:
    """What the call gives; where it fails or time is up, the reason under "failed". The rest goes on."""
    if time.monotonic() - began > limit:
        return {"failed": "no time left"}
    try:
        return call()
    except Exception as error:  # whatever a card, its driver or torch.compile may raise
        return {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120] if str(error) else ''}"}
    finally:
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()  # does nothing where there is no CUDA


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured on; rates in 10^12 operations a second."""
    rates = {str(dtype).removeprefix("torch."): rate(device, dtype) for dtype in (torch.bfloat16, torch.float32)}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "torch": torch.__version__, "matrices": SIDE, "tflops": rates}


def rate(device: torch.device, dtype: torch.dtype) -> float:
    one, two = (torch.rand(SIDE, SIDE).to(device, dtype) for _ in range(2))
    return float(f"{2 * SIDE**3 / seconds_of(lambda: torch.mm(one, two), device) / 1e12:.4g}")


def of_training(name: str, preset: str, device: torch.device) -> dict[str, Any]:
    """loss: of the first step, by "cpu" (fp32), and "fp32" and "bf16" on the device. eager: milliseconds of a step in bf16.
    flop: of its products and convolutions. peak: bytes that tensors held at most; None where that is not known. networks:
    number of those that torch.compile can be given."""
    places = {"cpu": ("fp32", torch.device("cpu")), "fp32": ("fp32", device), "bf16": ("bf16", device)}
    loss = {place: work.first_loss(*make(name, preset, *how), how[1])().item() for place, how in places.items()}
    method, params = make(name, preset, "bf16", device)
    step = work.training(method, params, device)
    step()  # makes the optimiser's state
    with Watch() as watch:
        step()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    milliseconds = 1000 * seconds_of(step, device)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    networks = sum(isinstance(part, COMPILED) for part in method.modules())
    return {"loss": loss, "flop": watch.flop, "eager": milliseconds, "peak": peak, "networks": networks}


def compiled(name: str, preset: str, device: torch.device, mode: str) -> float:
    """Milliseconds of a step in bf16 whose networks are compiled in this mode."""
    method, params = make(name, preset, "bf16", device)
    step = work.training(method, params, device)
    for part in method.modules():
        if isinstance(part, COMPILED):
            part.compile(mode=mode, dynamic=False)

    def whole() -> None:
        torch.compiler.cudagraph_mark_step_begin()
        step()

    return 1000 * seconds_of(whole, device)


def seconds_of(call: Callable[[], object], device: torch.device, least: float = 1.0) -> float:
    """Median seconds of a call, of as many as take `least` seconds, after three that do not count."""
    for _ in range(3):
        call()
    spent: list[float] = []
    while sum(spent) < least:
        wait(device)
        began = time.perf_counter()
        call()
        wait(device)
        spent.append(time.perf_counter() - began)
    return median(spent)


def wait(device: torch.device) -> None:
    """Until the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--out", type=Path, metavar="FILE", help="measure, and write here")
    task.add_argument("--fill", type=Path, metavar="FILE", help="make docs/gpu.md from what was measured")
    given = parser.parse_args()
    if given.fill:
        try:
            fill(given.fill)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    elif not torch.cuda.is_available():
        print("error: no CUDA device; docs/gpu.md stays as it is", file=sys.stderr)
        return 2
    else:
        measure("paper", torch.device("cuda"), keep=lambda found: write_json(given.out, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
