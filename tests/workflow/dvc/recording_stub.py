"""Stands in for the program: what each verb declares, made of its settings and inputs alone, and recorded.

Run as `python -m holofusion` by way of `standin.py`.
"""

import hashlib
import sys
from pathlib import Path

from holofusion.pipeline.provenance import provenance_of, record
from holofusion.pipeline.resolve import load_step
from holofusion.pipeline.verify import require_verified
from holofusion.utils.files import write_json

INPUTS = (
    "data",
    "warmup",
    "reconstructions",
    "codes",
    "model",
    "coarse",
    "fused",
    "hypotheses",
    "samples",
    "views",
    "other",
    "meshes",
    "dataset",
    "pictures",
)


def main(verb: str, *arguments: str) -> None:
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    Path(given["--log"]).write_text(verb)
    config = Path(given["--config"])
    resolved, results = load_step(config), config.parents[2]
    out = Path(given.get("--out", results / "tables"))
    with open("calls.txt", "a") as file:
        file.write(f"{verb} {resolved.name}\n")
    inputs = [Path(given[f"--{name}"]) for name in INPUTS if f"--{name}" in given]
    if verb == "report":
        require_verified(results, but="report")
        inputs = sorted(results.glob("metrics/*.json"))
        (results / "figures").mkdir(exist_ok=True)
        for name in ("metrics.csv", "claims.csv", "metrics.md", "metrics.tex"):
            write(out / name, resolved.hash, inputs)
        (out / "curves.csv").write_text("seconds,value\n1,2\n")
        value = int(hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()[:8], 16)
        write_json(out / "metrics.json", {"kernel_distance": value})
        write(results / "report.html", resolved.hash, inputs)
        artefact = out
    elif out.suffix == ".json":
        write_json(out, {"made": content(resolved.hash, inputs), "entries": []})
        artefact = out
    else:
        artefact = out / resolved.category if verb == "dataset" else out
        names = ("model.safetensors", "model.json") if verb in ("warmup", "encode", "train") else ("content.bin",)
        for name in names:
            (write_json if name.endswith("json") else write)(artefact / name, *made(name, resolved.hash, inputs))
    record(resolved, artefact, inputs, results)


def made(name: str, config_hash: str, inputs: list[Path]) -> tuple:
    return ({"made": content(config_hash, inputs)},) if name.endswith("json") else (config_hash, inputs)


def write(path: Path, config_hash: str, inputs: list[Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content(config_hash, inputs))


def content(config_hash: str, inputs: list[Path]) -> str:
    """A text that any change of the settings or of an input changes."""
    seen = [
        str(
            sorted(
                (part.name, (provenance_of(part) or {}).get("content"))
                for part in [path, *path.glob("*")]
                if part.is_dir() or part.suffix == ".json"
            )
        )
        for path in inputs
    ]
    return hashlib.sha256("/".join([config_hash, *seen]).encode()).hexdigest()


main(*sys.argv[1:])
