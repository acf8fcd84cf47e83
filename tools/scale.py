"""Count the steps of HoloFusion's rows at the sizes of three presets, and write docs/scale.json and the tables of docs/scale.md.

python -m tools.scale             # counts everything: three minutes of one core, 6 GB
python -m tools.scale PRESET ...  # some presets anew
python -m tools.scale --tables    # the tables alone, from the counts that are there
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holofusion.utils.progress import say, size

DOCS = Path(__file__).resolve().parents[1] / "docs"
COUNTS, PAGE, ESTIMATES = DOCS / "scale.json", DOCS / "scale.md", DOCS / "paper-estimates.md"
MEASURED = {  # what both pages have: its name, and rule or step with the unit there and here
    "the warm-up's micro-batch": (("warmup", "micro-batch"), ("warmup", "micro-batch")),
    "a step on an object's grid": (("warmup", "refinement step of an object"), ("warmup", "step on an object's grid")),
    "a denoising step": (("sample", "holodiffusion: denoising step"), ("sample", "holodiffusion, denoising step")),
}

# A card of 24 GB: NVIDIA's whitepaper on the GA102 (GeForce RTX 3090), dense rates of bf16 products with fp32 sums
PEAK = 71e12  # floating-point operations a second
BANDWIDTH = 936e9  # bytes a second
SHARE = 0.3  # of both, that a step is taken to reach
CALL = 10e-6  # seconds that the host takes to start an operation
EVENING = 8.0  # hours


def counted(preset: str) -> dict[str, Any]:
    """Tallies of all units of a preset, and the bytes of its data."""
    from tools.scale_units import data_of, units  # heavy

    return {"units": [tallied(unit) for unit in units(preset)], "data": data_of(preset)}


def tallied(unit: Any) -> dict[str, Any]:
    """What one unit does, and for a training its parameters; core_seconds: of steps that run on the CPU."""
    from holofusion.pipeline.steps import STEPS
    from tools.tally import parameters, tally

    say(unit.name)
    found = {"step": unit.step, "what": unit.what, "times": unit.times, **asdict(tally(unit.prepare, unit.fake))}
    if unit.method is not None:
        found["parameters"] = parameters(unit.method, unit.fake)
    if not STEPS[unit.step].gpu:
        call = unit.prepare()
        call()
        began = time.process_time()
        call()
        found["core_seconds"] = round(time.process_time() - began, 3)
    return found


def seconds_of(unit: dict[str, Any]) -> float:
    """Seconds of a unit on the card: products, then transfers, unless starting its operations takes longer."""
    work = unit["flop"] / (SHARE * PEAK) + unit["moved"] / (SHARE * BANDWIDTH)
    return max(work, CALL * unit["operations"])


def hours_of(unit: dict[str, Any]) -> float:
    """Hours of a run on one category: of the card, or of one core where the step runs on these."""
    return unit["times"] * unit.get("core_seconds", seconds_of(unit)) / 3600


def on_card(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [unit for unit in units if "core_seconds" not in unit]


def hours_text(hours: float) -> str:
    """To two digits."""
    return f"{hours:.0f}" if hours >= 10 else f"{hours:.2g}"


def plan(counts: dict[str, Any]) -> str:
    """Hours of the card by step, of one category; memory; data."""
    steps = list(dict.fromkeys(unit["step"] for found in counts.values() for unit in on_card(found["units"])))
    lines = [f"| | {' | '.join(f'`{preset}`' for preset in counts)} |", "|---" * (len(counts) + 1) + "|"]
    by_step: dict[str, dict[str, float]] = {preset: defaultdict(float) for preset in counts}
    for preset, found in counts.items():
        for unit in on_card(found["units"]):
            by_step[preset][unit["step"]] += hours_of(unit)
    for step in steps:
        lines.append(f"| `{step}`, hours | {' | '.join(f'{hours_text(by_step[preset][step])}' for preset in counts)} |")
    lines.append(
        f"| **all, GPU hours** | {' | '.join(f'**{hours_text(sum(each.values()))}**' for each in by_step.values())} |"
    )
    cores = {preset: sum(map(hours_of, of_cores(found["units"]))) for preset, found in counts.items()}
    lines.append(f"| `reconstruct`, core hours | {' | '.join(f'{hours_text(hours)}' for hours in cores.values())} |")
    most = [max(unit["peak"] for unit in on_card(found["units"])) for found in counts.values()]
    lines.append(f"| most memory of a step | {' | '.join(map(size, most))} |")
    for name in next(iter(counts.values()))["data"]:
        lines.append(f"| data: {name} | {' | '.join(size(found['data'][name]) for found in counts.values())} |")
    return "\n".join(lines)


def of_cores(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [unit for unit in units if "core_seconds" in unit]


def steps_table(found: dict[str, Any]) -> str:
    """One row per unit."""
    columns = ("step", "unit", "parameters", "GFLOP", "moved", "operations", "peak", "times", "ms", "hours")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for unit in found["units"]:
        cells = (
            f"`{unit['step']}`" + (" (cores)" if "core_seconds" in unit else ""),
            unit["what"],
            f"{unit['parameters'] / 1e6:.2f} M" if "parameters" in unit else "",
            f"{unit['flop'] / 1e9:.4g}",
            size(unit["moved"]),
            f"{unit['operations']:,}",
            size(unit["peak"]),
            f"{unit['times']:,}",
            f"{1000 * unit.get('core_seconds', seconds_of(unit)):.3g}",
            hours_text(hours_of(unit)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def card() -> str:
    """What is taken for granted of the card."""
    measured = json.loads((DOCS / "mini-bench.json").read_text())["unet_peak_fraction"]["median"]
    return (
        f"Peak {PEAK / 1e12:.0f} TFLOP/s and {BANDWIDTH / 1e9:.0f} GB/s; a step reaches {100 * SHARE:.0f} % of both; "
        f"{1e6 * CALL:.0f} µs to start an operation. On the CPU a training step of the 3D U-Net reached "
        f"{100 * measured:.0f} % of what a product of matrices did (`unet_peak_fraction` of `docs/mini-bench.json`)."
    )


def verdict(counts: dict[str, Any]) -> str:
    """Whether the preset `gpu` fits an evening and the smallest card that it is for."""
    units = on_card(counts["gpu"]["units"])
    hours, most = sum(map(hours_of, units)), max(unit["peak"] for unit in units)
    return (
        f"`gpu`: {hours:.1f} of {EVENING:.0f} hours, {size(most)} of 12 GB. At {100 * SHARE * hours / EVENING:.0f} % of the "
        f"peaks, in place of {100 * SHARE:.0f} %, it would just take the evening."
    )


def agreement(counts: dict[str, Any]) -> str:
    """Memory counted, beside what processes held that did the same on a CPU (docs/paper-estimates.md)."""
    rows = [line.strip("| ").split(" | ") for line in ESTIMATES.read_text().splitlines() if line.startswith("| ")]
    measured = {(row[0], row[1]): row[3] for row in rows if len(row) == 6}
    counted = {(unit["step"], unit["what"]): unit["peak"] for unit in counts["paper"]["units"]}
    parts = [f"{name} {measured[there]} and {counted[here] / 1e9:.1f} GB" for name, (there, here) in MEASURED.items()]
    return f"Held on a CPU at the sizes of `paper`, and counted: {'; '.join(parts)}."


def filled(page: str, counts: dict[str, Any]) -> str:
    """The page with its blocks made again."""
    blocks = {"card": card(), "plan": plan(counts), "verdict": verdict(counts), "agreement": agreement(counts)}
    blocks |= {preset: steps_table(found) for preset, found in counts.items()}
    for name, text in blocks.items():
        block = f"<!-- {name} -->\n{text}\n<!-- end -->"
        page, count = re.subn(rf"<!-- {name} -->\n.*?<!-- end -->", lambda _, block=block: block, page, flags=re.DOTALL)
        assert count == 1, f"{PAGE.name}: expected <!-- {name} --> ... <!-- end --> once"
    return page


def main(presets: list[str]) -> None:
    """Count these presets anew, and make the tables of all."""
    counts = json.loads(COUNTS.read_text()) if COUNTS.is_file() else {}
    if presets:
        import torch

        torch.set_num_threads(1)
        counts |= {preset: counted(preset) for preset in presets}
        COUNTS.write_text(json.dumps(counts, indent=1) + "\n")
    PAGE.write_text(filled(PAGE.read_text(), counts))


if __name__ == "__main__":
    from tools.scale_units import PRESETS

    parser = argparse.ArgumentParser("python -m tools.scale")
    parser.add_argument("presets", nargs="*", metavar="PRESET", help=f"of {', '.join(PRESETS)}; all by default")
    parser.add_argument("--tables", action="store_true", help="count nothing")
    given = parser.parse_args()
    main([] if given.tables else given.presets or list(PRESETS))
