"""Models that ship: half-precision copies of finished trainings inside the package, checked against their hashes.

A folder holofusion/models/NAME is a run folder like any other, with provenance.json in place of the pipeline's.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from holofusion.diffusion.estimates import small_state
from holofusion.pipeline.registry import ROWS, Source
from holofusion.utils.files import UserError, read_json, reading, replacing, sha256_of, write_json
from holofusion.utils.progress import size

MODELS = Path(__file__).parent
LARGEST = 8 * 10**6  # bytes of one model
WEIGHTS, FACTS, CARD, CAMERAS, ORIGIN = (
    "model.safetensors",
    "model.json",
    "MODEL_CARD.md",
    "evaluation_cameras.json",
    "provenance.json",
)
ESTIMATES = "estimates."  # of codes: of methods over codes the largest part by far
LOSS = 1e-3  # relative error above which a tensor keeps its precision: float16 has 5e-4 where it neither over- nor underflows


def names() -> list[str]:
    """The models that ship, by name."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{ORIGIN}"))


def locate(model: Path | str) -> Path:
    """The run folder that is meant: `model` itself, the run of a results folder that is fused, or the model of that name.

    Of runs that are fused those over codes come first. Raises UserError where it is none of these, where a results folder
    holds several such runs, and where a file that ships is not what was shipped.
    """
    path = Path(model)
    if (path / FACTS).is_file():
        return path
    runs = sorted(found.parent for found in path.glob(f"runs/*/{FACTS}"))
    if runs:
        all_fused = [run for run in runs if fused(run)]
        chosen = [run for run in all_fused if fused(run, over_codes=True)] or all_fused or runs
        if len(chosen) > 1:
            raise UserError(f"{path}: holds several runs; name one of {', '.join(map(str, chosen))}")
        return chosen[0]
    if str(model) in names():
        check(MODELS / str(model))
        return MODELS / str(model)
    if path.is_dir():
        raise UserError(f"{path / FACTS}: no such file; expected a run folder, or a results folder with runs/")
    raise UserError(f"{model}: no such folder, and no model that ships ({', '.join(names()) or 'there are none yet'})")


def fused(run: Path, over_codes: bool = False) -> bool:
    """Whether the scenes of a run can be fused; with `over_codes`, whether they are such as well.

    A run that takes over another does not count: the other one stands beside it.
    """
    with reading(run / FACTS):
        rows = read_json(run / FACTS).get("rows") or []
    found = [ROWS[row] for row in rows if row in ROWS and ROWS[row].source == Source.HYPOTHESES]
    return any(not row.base and (row.over_codes or not over_codes) for row in found)


def check(folder: Path) -> None:
    """Raises UserError naming the file of a shipped model that is missing, or is not what was shipped."""
    with reading(folder / ORIGIN):
        for name, expected in read_json(folder / ORIGIN)["files"].items():
            if not (folder / name).is_file():
                raise UserError(f"{folder / name}: no such file; install the package again")
            if sha256_of(folder / name) != expected:
                raise UserError(f"{folder / name}: not the file that was shipped; install the package again")


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those of float32 in half precision where that loses less than LOSS of their length."""
    smaller = {}
    for name, value in tensors.items():
        half = value.half() if value.dtype == torch.float32 else value
        error = (half.float() - value.float()).norm() if half.dtype != value.dtype else torch.zeros(())
        kept = not bool(error <= LOSS * value.float().norm())  # also where it became infinite
        smaller[name] = (value if kept else half).contiguous()
    return smaller


def ship(run: Path, name: str) -> Path:
    """Make MODELS/NAME of a finished training, with its model card: the one with scores where the report has written it.

    Codes are kept in 8 bits.

    Raises UserError naming the file that a run folder lacks, or the size of weights that are too large to ship.
    """
    if not name.isidentifier():
        raise UserError(f"{name}: not a name of a model; expected letters, digits and underscores")
    for needed in (WEIGHTS, FACTS, CARD, CAMERAS):
        if not (run / needed).is_file():
            raise UserError(f"{run / needed}: no such file; expected the folder of a finished training")
    try:
        tensors = load_file(run / WEIGHTS)
    except SafetensorError as error:
        raise UserError(f"{run / WEIGHTS}: damaged ({error})") from None
    small = halved(small_state(tensors, ESTIMATES) if f"{ESTIMATES}codes" in tensors else tensors)
    scored = run.parent.parent / "tables" / "cards" / f"{run.name}.md"
    with replacing(MODELS / name) as temporary:
        temporary.mkdir()
        save_file(small, temporary / WEIGHTS)
        (temporary / WEIGHTS).chmod(0o644)  # the library leaves it to its owner
        for copied in (FACTS, CAMERAS):
            shutil.copyfile(run / copied, temporary / copied)
        (temporary / CARD).write_text(_card(scored if scored.is_file() else run / CARD, name))
        write_json(temporary / ORIGIN, _origin(run, name, tensors, small, temporary))
        total = sum(path.stat().st_size for path in temporary.iterdir())
        if total > LARGEST:
            raise UserError(f"{run}: {size(total)} in half precision; a model that ships takes at most {size(LARGEST)}")
    return MODELS / name


def _card(path: Path, name: str) -> str:
    """The run's card, for the name it ships under."""
    text = path.read_text()
    for line in text.splitlines():
        if line.startswith("run = holofusion.load("):
            text = text.replace(line, f'run = holofusion.load("{name}")')
    return (
        f"{text}\n## As shipped\n\nWeights in half precision; `provenance.json` has the hashes, and where they come from."
        "\nThe scores are those of the weights before.\n"
    )


def _origin(
    run: Path, name: str, tensors: Mapping[str, Tensor], small: Mapping[str, Tensor], folder: Path
) -> dict[str, Any]:
    """What provenance.json says: the training, its weights' hash, which tensors are not halved, and the files' hashes."""
    facts = read_json(run / FACTS)
    return {
        "name": name,
        "run": run.name,
        "config_hash": facts.get("config_hash"),
        "git_commit": facts.get("git_commit"),
        "weights": sha256_of(run / WEIGHTS),
        "not_halved": [key for key, value in small.items() if value.dtype != torch.half],
        "training": read_json(run / ORIGIN) if (run / ORIGIN).is_file() else None,
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
