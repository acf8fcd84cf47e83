"""Describe what the results were made with: machine, versions of packages, commit of the code."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from holofusion.report.collect import RunResults

PACKAGES = (
    "torch",
    "torchvision",
    "easypytorch3d",
    "torch-fidelity",
    "numpy",
    "pillow",
    "scikit-image",
    "trimesh",
    "snakemake",
)


def machine() -> str:
    """Processor, cores and memory of the machine the report is written on, in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {memory:.0f} GiB memory"


def versions(runs: list[RunResults]) -> dict[str, list[str]]:
    """Versions of the packages the results rest on: those the models were trained with, and those installed now."""
    used_versions: dict[str, set[str]] = {}
    for package in PACKAGES:
        try:
            used_versions.setdefault(package, set()).add(version(package))
        except PackageNotFoundError:
            continue
    for run in runs:
        for package, used in ((run.model or {}).get("versions") or {}).items():
            used_versions.setdefault(package, set()).add(used)
    return {"python": [platform.python_version()], **{package: sorted(used) for package, used in used_versions.items()}}


def commits(runs: list[RunResults]) -> list[str]:
    """Distinct code versions the models were trained from."""
    return sorted({run.model["git_commit"] for run in runs if run.model and run.model.get("git_commit")})
